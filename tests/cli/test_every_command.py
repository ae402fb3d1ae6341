"""Every command is used, in one story; its JSON document has the keys that programs rely on."""

import base64
import contextlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from typer.core import TyperGroup

from asking_story import AskingStory
from iamata.cli.nouns import get_commands
from iamata.crypto.ed25519 import SEED_BYTES, SigningKey
from iamata.engines.keeping.commits import CommitFile
from iamata.ledger.light.blocks import order_validators
from iamata.ledger.light.verifying import trust_genesis
from iamata.node.comet_home import COMET_FOLDER, CONFIG_FOLDER, VALIDATOR_KEY_FILE, draw_ports
from iamata.node.home import LEDGER_FOLDER, load_genesis
from iamata.node.running import list_homes
from iamata.testing.lights import make_light
from iamata.testing.nodes import RunningNode
from iamata.testing.stage import Stage, call
from learning_story import LearningStory

STUDY: Final = (
    "approvals budget code colluders_max is_expired is_review_over owner purpose rejections review_until "
    "sites spent status study until uses"
)
PINNED: Final = {
    "access ask": "bodies custodian may_be_incomplete obligations records",
    "dataset build": "confirm_until custodian dataset findings height is_overdue leaves patients_read "
    "rows_read status study unagreed_patients unknown_patients unknown_rows",
    "dataset list": "datasets",
    "dataset look-after": "steps",
    "dataset show": "conditions confirm_until consents custodian dataset height is_overdue leaves members "
    "replaces status study",
    "demo": "accesses app_hash disclosure emergency erased height imports refused_after_withdrawal "
    "refused_before_consent study verified wall_s",
    "emergency declare": "emergency minutes person",
    "emergency list": "emergencies",
    "emergency review": "emergency outcome",
    "ledger events": "events",
    "ledger export": "blocks file",
    "ledger receipt": "receipt transaction",
    "ledger status": "app_hash height log_size name network served_here time",
    "member apply": "member",
    "member invite": "file invitation member",
    "member leave": "member",
    "member list": "members",
    "member rotate-key": "key member",
    "model apply": "contributions high inputs is_cut is_overdue link low model notice outcome status "
    "unlearned value",
    "model list": "models",
    "model show": "card file is_overdue model run status study supersedes",
    "model verify": "card file holds is_overdue model run statements status study supersedes",
    "network continue": "continues home members network",
    "network init": "home members network",
    "network status": "nodes",
    "network up": "nodes",
    "node consensus-key": "key",
    "node agree": "file",
    "node introduce": "file hash height network",
    "node peers": "own peers",
    "node configure": "configuration",
    "node continue": "continues home network",
    "node offer": "file",
    "node serve": "member url",
    "node status": "engine height log_size member name network orderer time time_ms",
    "node up": "member url",
    "patient consent": "consent terms until",
    "patient erase": "ended height patient receipt records",
    "patient invite": "code",
    "patient find": "is_known patient",
    "patient list": "patients",
    "patient restrict": "consent terms",
    "person list": "persons",
    "person register": "member person roles wallet",
    "person revoke": "person",
    "person set-roles": "person roles",
    "proposal list": "proposals",
    "proposal open": "action approvals is_closed proposal rejections until",
    "proposal vote": "action approvals is_closed proposal rejections until",
    "records anchor": "read_anchors record_anchors",
    "records import": "added already_there anchors irregular patients_enrolled problems records_per_s "
    "unchanged",
    "records list": "may_be_incomplete records",
    "records read": "records",
    "records validate": "documents outcomes resources wrong",
    "sample generate": "folder patients resources",
    "study answers": "answers",
    "study ask": "answer budget_left confidence counts delta deviation epsilon is_new is_suppressed "
    "measure question result run sites status study",
    "study count": "answer budget_left confidence counts delta deviation epsilon is_new is_suppressed "
    "measure question result run sites status study",
    "study list": "studies",
    "study propose": STUDY,
    "study review": f"{STUDY} salt",
    "study revoke": f"{STUDY} salt",
    "study show": f"{STUDY} answers datasets method models question runs title",
    "study train": "card file is_overdue model rounds run sites status study supersedes",
    "verify": "app_hash checked height is_by_one_signer late_pending network",
    "view run": "columns may_be_incomplete problems resources resources_per_s rows",
    "wallet accesses": "accesses",
    "wallet add-device": "acts key wallet",
    "wallet confirm": "acts confirmed",
    "wallet create": "wallet",
    "wallet devices": "keys own",
    "wallet enrol": "acts custodian patient wallet",
    "wallet follow": "followed wallet",
    "wallet grant": "acts consent custodian terms until",
    "wallet lift": "acts consent lifted",
    "wallet outbox": "called_off waiting",
    "wallet remove-device": "key",
    "wallet restrict": "consent terms leaves_datasets_by is_row_used",
    "wallet send": "acts waiting",
    "wallet share": "custodian minutes recipient share",
    "wallet show": "consents identities",
    "wallet studies": "datasets",
    "wallet withdraw": "consent leaves_datasets_by is_row_used",
}

TOLD_ELSEWHERE: Final = {"network join"}
"""What is not done without consensus, by `tests/faults/test_joining.py`, which pins its keys too."""


def list_commands(command: object, *names: str) -> Iterator[str]:
    """List the commands of the program by their names."""
    if isinstance(command, TyperGroup):
        for name, one in command.commands.items():
            yield from list_commands(one, *names, name)
    else:
        yield " ".join(names)


def keep_header(network: Path, member: str) -> None:
    """Let a validator's home have a header that all founders signed, as a node that runs has."""
    genesis = load_genesis(network / member)
    validators = order_validators(genesis.validators)
    keys = {}
    for home in list_homes(network):
        file = home / COMET_FOLDER / CONFIG_FOLDER / VALIDATOR_KEY_FILE
        secret = base64.b64decode(json.loads(file.read_text())["priv_key"]["value"])
        key = SigningKey.from_seed(secret[:SEED_BYTES])
        keys[key.key_id] = key
    voters = [keys.get(one.key) for one in validators]  # the regulator has changed its own
    light = make_light(trust_genesis(genesis), validators, voters)
    with contextlib.closing(CommitFile(network / member / LEDGER_FOLDER, is_writer=True)) as commits:
        commits.add(light)


@pytest.fixture(scope="session")
def story(
    template: Path, learned: LearningStory, asked: AskingStory, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """Tell the story once; return the last document of each command. Learning has its own story."""
    folder = tmp_path_factory.mktemp("story")
    shutil.copytree(template, folder / "stage")
    return Narrator(Stage(folder / "stage")).tell() | learned.heard | asked.heard


def write_view(path: Path) -> Path:
    """Write a view of observations."""
    columns = [{"name": "id", "path": "id", "type": "id"}, {"name": "status", "path": "status"}]
    path.write_text(json.dumps({"resource": "Observation", "select": [{"column": columns}]}))
    return path


class Narrator:
    """Runs commands that must succeed, and remembers what they printed."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.heard: dict[str, dict[str, Any]] = {}

    def tell(self) -> dict[str, dict[str, Any]]:
        """Use every command."""
        self.set_up()
        self.consent_and_read()
        self.speak_for_a_patient()
        self.break_the_glass()
        self.govern()
        self.serve()
        self.run_networks()
        self.finish()
        self.go_on()
        return self.heard

    def ask(self, command: str, *arguments: object) -> dict[str, Any]:
        """Run a command that must succeed."""
        self.heard[command] = self.stage.ask(*command.split(), *arguments)
        return self.heard[command]

    def call(self, command: str, *arguments: object) -> dict[str, Any]:
        """Run a command that takes no home."""
        answer = call(*command.split(), *arguments, "--json")
        assert answer.code == 0, answer
        self.heard[command] = answer.document
        return answer.document

    def set_up(self) -> None:
        """Make a network, a sample, and import it."""
        folder, north = self.stage.folder, ("--member", "north")
        call("network", "init", "--home", folder / "other", "--member", "one:research:One")
        self.heard["network init"] = call(
            "network", "init", "--home", folder / "third", "--member", "one:research:One", "--json"
        ).document
        self.call("sample generate", folder / "sample", "--patients", "2", "--seed", "3")
        self.call("demo", "--home", folder / "demo")
        self.call("wallet create", "--wallet", folder / "empty")
        self.ask("records import", *north, folder / "sample")
        self.call("records validate", folder / "sample")
        self.ask("person register", *north, "--wallet", folder / "temp", "--role", "clinician")
        self.ask("person set-roles", *north, "--person", folder / "temp", "--role", "auditor")
        self.ask("person revoke", *north, "--person", folder / "temp")
        self.ask("person list", *north)
        self.ask("patient find", *north, "Patient/ada")
        self.ask("patient list", *north)

    def consent_and_read(self) -> None:
        """Let Ada consent, be read, narrow and withdraw."""
        ada, doctor = ("--wallet", self.stage.patient), self.stage.wallet("south-doctor")
        terms = ("--to", "member:south", "--purpose", "TREAT", "--yes")
        self.ask("wallet grant", *ada, *terms)
        code = self.ask("wallet share", *ada, "--recipient", "south")["share"]
        self.ask("access ask", "--member", "south", "--person", doctor, "--share", code)
        own = (
            "--member",
            "north",
            "--person",
            self.stage.wallet("north-doctor"),
            "--patient",
            "Patient/ada",
        )
        self.ask("records list", *own)
        self.ask("records read", *own, "Observation/ada-bp")
        self.ask("records anchor", "--member", "north")
        self.ask("wallet accesses", *ada)
        view = write_view(self.stage.folder / "view.json")
        self.ask("view run", view, *own[:4], "--to", self.stage.folder / "table.parquet")
        self.ask("wallet restrict", *ada, "--label", "R", "--yes")
        note = self.stage.folder / "note.txt"
        note.write_text("a signed form")
        consent = self.heard["wallet grant"]["consent"]
        narrowing = ("--member", "north", "--patient", "Patient/ada", "--consent", consent, "--label", "V")
        self.ask("patient restrict", *narrowing, "--evidence", note)
        self.ask("wallet lift", *ada)
        self.ask("wallet show", *ada)
        key = self.ask("wallet add-device", *ada, "--to", self.stage.folder / "phone")["key"]
        self.ask("wallet devices", *ada)
        self.ask("wallet remove-device", *ada, "--key", key)
        self.ask("wallet withdraw", *ada)
        self.ask("wallet outbox", *ada)
        self.ask("wallet send", *ada)

    def speak_for_a_patient(self) -> None:
        """Let two of the staff consent for Bob, and Bob confirm it."""
        staff = (self.stage.wallet("north-doctor"), self.stage.wallet("north-nurse"))
        self.ask(
            "patient consent", "--member", "north", "--patient", "Patient/bob", "--to", "member:south",
            "--staff", staff[0], "--staff", staff[1], "--evidence", self.stage.folder / "note.txt",
        )  # fmt: skip
        bob = ("--wallet", self.stage.folder / "bob")
        self.ask("wallet enrol", *bob, "--custodian", "north", "--patient", "Patient/bob")
        self.ask("wallet confirm", *bob, "--yes")

    def break_the_glass(self) -> None:
        """Break the glass for Bob, and review it."""
        why = ("--reason", "Unconscious after a fall")
        found = ("--family", "Second-Test", "--given", "Ada", "--born", "1980-02-29")
        doctor = ("--wallet", self.stage.wallet("south-doctor"))
        broken = self.ask("emergency declare", *doctor, "--custodian", "north", *found, *why)["emergency"]
        self.ask("emergency list")
        reviewer = ("--wallet", self.stage.wallet("north-reviewer"))
        self.ask("emergency review", *reviewer, "--emergency", broken, "--outcome", "justified", *why)

    def govern(self) -> None:
        """Let an organisation come and go, and a node change its key."""
        offer = self.stage.folder / "offer.json"
        lake = ("--id", "lake", "--kind", "hospital", "--name", "Lake", "--to", offer)
        self.ask("member invite", "--member", "north", *lake)
        self.ask("member apply", offer)
        wallets = [self.stage.home / "wallets" / f"{one}-administrator" for one in ("north", "south")]
        proposal = self.ask("proposal open", "--wallet", wallets[0], "--admit", "lake")["proposal"]
        self.ask("proposal vote", "--wallet", wallets[1], "--proposal", proposal, "--approve")
        self.ask("proposal list")
        self.ask("member list")
        self.ask("member rotate-key", "--member", "lake")
        self.ask("member leave", "--member", "lake", "--yes")

    def serve(self) -> None:
        """Invite a patient from afar, and serve a home to others."""
        self.ask("patient invite", "--member", "north", "--patient", "Patient/bob-new")
        home = self.stage.folder / "other"
        self.call("node configure", "--home", home, "--port", 0, "--peer", "north=http://127.0.0.1:8101")
        with RunningNode(home) as node:
            self.heard["node up"] = node.document
            self.call("node status", node.url)
        with RunningNode(home, verb="serve") as node:
            self.heard["node serve"] = node.document
            self.call("node status", node.url)

    def go_on(self) -> None:
        """Let the network go on in homes of one member each, and then once more, home by home."""
        net, members = self.stage.folder / "net", ("north", "south", "state")
        self.call("network continue", self.stage.home, net, "--orderer", "south")
        self.call("wallet follow", "--home", net / "north", "--wallet", self.stage.patient)
        offers = [self.stage.folder / f"{one}.offer" for one in members]
        for one, offer in zip(members, offers, strict=True):
            self.call("node offer", net / one, "--to", offer)
        plan = ["--orderer", "north", *(part for offer in offers for part in ("--offer", offer))]
        agreements = [self.stage.folder / f"{one}.agreement" for one in members[:2]]
        for one, agreement in zip(members, agreements, strict=False):
            self.call("node agree", net / one, "--to", agreement, *plan)
        agreed = [part for agreement in agreements for part in ("--agreement", agreement)]
        self.call("node continue", net / "north", self.stage.folder / "next", *plan, *agreed)

    def run_networks(self) -> None:
        """Run a folder of nodes, and look at a validator's key."""
        folder, validators = self.stage.folder / "nodes", self.stage.folder / "validators"
        call("network", "init", folder, "--members", 2, "--port", draw_ports(1)[0])
        command = [sys.executable, "-c", "from iamata.cli.main import main; main()", "network", "up"]
        with subprocess.Popen([*command, folder, "--json"], stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  our own program
            assert process.stdout is not None
            try:
                self.heard["network up"] = json.loads(process.stdout.readline())
                standings = self.call("network status", folder)["nodes"]
            finally:
                process.send_signal(signal.SIGINT)
        assert process.returncode == 0
        assert [one["lag"] for one in standings] == [0, 0]
        call("network", "init", validators, "--members", 4, "--engine", "comet")
        drawn = self.call("node consensus-key", validators / "regulator", "--next")
        changed = self.call("node consensus-key", validators / "regulator", "--change")
        assert drawn == changed == self.call("node consensus-key", validators / "regulator")
        self.call("node peers", validators / "regulator", "--add", f"{'0f' * 20}@10.0.0.7:26656")
        keep_header(validators, "north-hospital")
        self.call(
            "node introduce", validators / "north-hospital", "--to", self.stage.folder / "introduction"
        )

    def finish(self) -> None:
        """Erase Bob, and let an outsider verify it all."""
        self.ask("patient erase", "--member", "north", "--patient", "Patient/bob", "--yes")
        self.ask("ledger status")
        self.ask("ledger receipt", "--leaf", "0")
        self.ask("ledger events", "--limit", "5")
        self.ask("ledger export", self.stage.folder / "export.jsonl")
        self.call("verify", self.stage.home)


def test_every_command_has_its_place_in_the_story(story: dict[str, dict[str, Any]]) -> None:
    commands = set(list_commands(get_commands()))

    assert commands == set(PINNED) | TOLD_ELSEWHERE
    assert commands == set(story) | TOLD_ELSEWHERE


@pytest.mark.parametrize("command", PINNED)
def test_a_json_document_has_the_keys_that_programs_rely_on(
    command: str, story: dict[str, dict[str, Any]]
) -> None:
    assert sorted(story[command]) == sorted(PINNED[command].split())


def test_what_the_story_did_is_what_it_says(story: dict[str, dict[str, Any]]) -> None:
    assert story["access ask"]["records"] == 2
    assert [one["recipient"] for one in story["wallet accesses"]["accesses"]] == ["south", "north", "north"]
    assert all(one["is_proven"] for one in story["wallet accesses"]["accesses"])
    assert story["view run"]["rows"] == story["view run"]["resources"] > 0
    assert story["wallet lift"]["lifted"] == 1
    assert story["wallet confirm"]["confirmed"] == [story["patient consent"]["consent"]]
    assert [one["status"] for one in story["member list"]["members"]] == ["active"] * 4
    assert story["proposal vote"]["is_closed"]
    assert story["patient erase"]["records"] == 2


def test_an_export_and_its_home_verify_to_the_same_height_and_app_hash(
    story: dict[str, dict[str, Any]],
) -> None:
    export = call("verify", story["ledger export"]["file"], "--json").document

    assert export["app_hash"] == story["verify"]["app_hash"] == story["ledger status"]["app_hash"]
    assert export["height"] == story["verify"]["height"] == story["ledger export"]["blocks"]
