"""Follow a path of element names through a resource, over lists, as FHIRPath's dot does."""

from collections.abc import Iterator

Path = tuple[str, ...]


def find_elements(node: object, path: Path) -> list[object]:
    """List what stands at a path; nothing where the resource has none."""
    found = [node]
    for name in path:
        found = [
            child for parent in found if type(parent) is dict and (child := parent.get(name)) is not None
        ]
        if any(type(child) is list for child in found):
            found = [item for child in found for item in (child if type(child) is list else [child])]
    return found


def find_references(node: object, path: Path) -> Iterator[str]:
    """Yield the literal references that stand at a path."""
    for element in find_elements(node, path):
        if type(element) is dict and type(reference := element.get("reference")) is str:
            yield reference
