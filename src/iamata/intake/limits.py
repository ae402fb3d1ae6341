"""How much the import takes from a file that may be hostile."""

import msgspec

from iamata.fhir.exact import RESOURCE_BYTES_MAX


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds on what is read; the defaults keep an import below 300 MB of memory."""

    document_bytes_max: int = 64 * 2**20
    """One JSON file. Larger sets come as NDJSON, which has no bound."""
    line_bytes_max: int = RESOURCE_BYTES_MAX
    chunk_lines_max: int = 500
    chunk_bytes_max: int = 4 * 2**20
    """NDJSON is handed on in chunks of so many lines, or so many bytes."""
    archive_bytes_max: int = 256 * 2**30
    """What one archive may unpack to."""
    archive_ratio_max: int = 250
    """What one byte of an archive may unpack to; Synthea's pretty JSON comes to 46."""
    archive_ratio_free_bytes: int = 16 * 2**20
    """Small archives may compress better than that."""
    archive_members_max: int = 1_000_000
    archive_header_bytes_max: int = 2**20
    """What may stand between two members of a tar, long names included."""
    zip_directory_bytes_max: int = 16 * 2**20
    xz_memory_bytes_max: int = 80 * 2**20
    """What a decoder may need; `xz -9` asks for 65 MiB."""
    name_chars_max: int = 1_024
    waiting_max: int = 250_000
    """Entries that wait for a record that another file may bring; about 200 bytes each."""
