"""A study's protocol: one readable file that says what is learned from what, by which method, for what.

Reviewers read it; its hash is on the ledger; every site works from the same bytes. What it does not say
nobody may do.
"""

import hashlib
import math
from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Final, TypeAlias

import msgspec
import numpy as np

from iamata.consent.data_use import ResearchPurpose
from iamata.consent.terms import LABELS_MAX, Code, ResourceType
from iamata.learning.answers import answer
from iamata.learning.cohorts import Cohort, check_cohort
from iamata.learning.estimators.bayes import fit_bayes
from iamata.learning.estimators.boosting import boost
from iamata.learning.estimators.growing import Boosting
from iamata.learning.estimators.linear_model import LinearModel
from iamata.learning.estimators.model_files import Model, encode_model, identify_model
from iamata.learning.estimators.newton import Settings, fit_linear
from iamata.learning.estimators.private import PrivateSettings, fit_private, require_public
from iamata.learning.estimators.tree_model import TreeModel
from iamata.learning.evaluation.evaluating import Evaluation, Plan
from iamata.learning.evaluation.kinds import AnyEvaluation, evaluate_kind, name_sites
from iamata.learning.evaluation.subgroups import check_groups
from iamata.learning.privacy.accounting import find_rho
from iamata.learning.programmes import Programme, Query, Result, Site, Values
from iamata.learning.questions import Asked
from iamata.learning.releases import release
from iamata.learning.schemas import Schema
from iamata.learning.tables import Table
from iamata.model.canonical import check_distinct
from iamata.model.ids import Digest, encode_digest
from iamata.model.reasons import Reason, Refused, require

PROTOCOL_BYTES_MAX: Final = 1024 * 1024
TEXT_LENGTH_MAX: Final = 4_000
CLASSES_MAX: Final = 64
PERCENT: Final = 100
MICRO: Final = 1_000_000
RHO_BITS: Final = 40
"""Rho is rounded down to a multiple of 2^-40, so that logarithms of different makers give one rho."""
EPSILON_MICRO_MIN: Final = 1_000
EPSILON_MICRO_MAX: Final = 10 * MICRO
NORM_MIN: Final = 0.001
NORM_MAX: Final = 1_000
SMOOTHING_MIN: Final = 0.001
SMOOTHING_MAX: Final = 1e6
DELTA_MAX: Final = 1e-5
"""Within these limits several runs together spend less than the sum of their epsilons, at one delta.

With an epsilon that is hardly larger than delta it would be more.
"""
TRAINING: Final = "training"
HOLDOUT: Final = "holdout"
UNTOLD: Final = (Reason.TOO_FEW_PATIENTS, Reason.ONE_CLASS_ONLY)
"""Why a model may stay without an evaluation: too few were kept out to be spoken about."""

NOT_FOR_QUESTIONS: Final = "the protocol names an estimator to train, not questions"
NOT_FOR_TRAINING: Final = "the protocol is for questions: iamata study ask"

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_LENGTH_MAX)]


class Regression(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="regression"):
    """A linear, logistic or Poisson regression with an L2 penalty."""

    settings: Settings = Settings()


class Trees(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="trees"):
    """Gradient-boosted trees over histograms."""

    settings: Boosting = Boosting()


class Bayes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="bayes"):
    """Naive Bayes, to compare with."""

    smoothing: Annotated[float, msgspec.Meta(ge=SMOOTHING_MIN, le=SMOOTHING_MAX)] = 1.0


class Private(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="private"):
    """A logistic regression under differential privacy: the sites add noise to every sum.

    A run spends its epsilon from the study's budget and from each custodian's.
    """

    epsilon_micro: Annotated[int, msgspec.Meta(ge=EPSILON_MICRO_MIN, le=EPSILON_MICRO_MAX)]
    """What one run spends, in millionths."""
    delta: Annotated[float, msgspec.Meta(gt=0, le=DELTA_MAX)] = 1e-5
    norm_max: Annotated[float, msgspec.Meta(ge=NORM_MIN, le=NORM_MAX)] = 3.0
    """The Euclidean norm to which each row is clipped."""

    def compute_settings(self) -> PrivateSettings:
        """Compute what the fit may spend, from what the run does."""
        return PrivateSettings(rho=find_public_rho(self.epsilon_micro, self.delta), norm_max=self.norm_max)


class Questions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="questions"):
    """No training, but questions with a number as the answer, each a noisy sum (`learning.questions`)."""

    epsilon_micro: Annotated[int, msgspec.Meta(ge=EPSILON_MICRO_MIN, le=EPSILON_MICRO_MAX)]
    """What one question spends, in millionths."""
    delta: Annotated[float, msgspec.Meta(gt=0, le=DELTA_MAX)] = 1e-5


Estimator: TypeAlias = Regression | Trees | Bayes | Private | Questions


class Protocol(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be learned, from what, and how."""

    title: Text
    question: Text
    """What is to be found out, in words that a patient understands."""
    purpose: ResearchPurpose
    schema: Schema
    """The columns of a site's table, with public bounds, and the outcome."""
    classes: Annotated[tuple[ResourceType, ...], msgspec.Meta(min_length=1, max_length=CLASSES_MAX)]
    """Of which kinds of record the rows are made: consent has to cover each."""
    labels: Annotated[tuple[Code, ...], msgspec.Meta(min_length=1, max_length=LABELS_MAX)] = ("N",)
    """How confidential the columns are, as records are labelled."""
    estimator: Estimator = Regression()
    holdout_percent: Annotated[int, msgspec.Meta(ge=0, le=50)] = 20
    """How many patients in a hundred are kept out of training, to evaluate on; of no use to noisy sums."""
    evaluation: Plan = Plan()
    cohort: Cohort | None = None
    """How a site's records become rows; without it, each site brings a table."""

    def __post_init__(self) -> None:
        """Refuse groups that the schema has not, and a cohort that makes other rows than the schema's."""
        check_groups(self.evaluation.groups, self.schema)
        if self.cohort is not None:
            check_cohort(self.cohort, self.schema)

    @property
    def spends_micro(self) -> int:
        """What a run spends of the budgets, in millionths of epsilon; 0 where sums are exact."""
        return self.estimator.epsilon_micro if isinstance(self.estimator, Private | Questions) else 0

    @property
    def rho(self) -> float:
        """The zero-concentrated privacy that all queries of a run together may spend; 0 where exact."""
        match self.estimator:
            case Private() | Questions() as estimator:
                return find_public_rho(estimator.epsilon_micro, estimator.delta)
            case _:
                return 0.0

    @property
    def is_for_questions(self) -> bool:
        """Tell whether runs answer questions, and train nothing."""
        return isinstance(self.estimator, Questions)

    @property
    def kept_out_percent(self) -> int:
        """How many patients in a hundred are evaluated on: an exact evaluation would undo the noise."""
        return 0 if self.spends_micro else self.holdout_percent


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a study's programme: the same at every site."""

    model: bytes
    """The model's file, or the answer's."""
    evaluation: AnyEvaluation | None = None
    rows: int = 0


def read_protocol(raw: bytes) -> Protocol:
    """Read a protocol's file, or refuse what is none."""
    require(len(raw) <= PROTOCOL_BYTES_MAX, Reason.INPUT_TOO_LARGE, "the protocol")
    try:
        protocol = msgspec.json.decode(raw, type=Protocol)
        check_distinct(raw)
    except Refused:
        raise
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Reason.MALFORMED, f"the protocol: {error}") from error
    return protocol


def check_budget(protocol: Protocol, budget_micro: int) -> None:
    """Refuse noisy sums without a budget, exact ones where there is one, and a run that is too dear."""
    spends = protocol.spends_micro
    require((spends > 0) == (budget_micro > 0), Reason.BUDGET_EXHAUSTED, "noise and budget need each other")
    require(spends <= budget_micro, Reason.BUDGET_EXHAUSTED, "a single run")


def check_columns(schema: Schema) -> None:
    """Refuse columns about which no question can be asked without a refusal that shows a value."""
    for column in schema.columns:
        require_public(column)


def name_document(raw: bytes) -> Digest:
    """Name a document by the SHA-256 of its bytes, as the ledger does."""
    return Digest(encode_digest(hashlib.sha256(raw).digest()))


def learn(protocol: Protocol, sites: Sequence[str] = ()) -> Programme[Learned]:
    """Train as a protocol says and evaluate on the patients that were kept out, if any were.

    `sites` names all of the study's, in the ledger's order; groups of sites have only numbers without.
    """
    fit = _fit(protocol)
    model = yield from _at(TRAINING, fit if protocol.spends_micro else release(fit, protocol.schema))
    raw = encode_model(model)
    evaluation = None
    if protocol.kept_out_percent:
        predict, outcome, plan = partial(_predict, model), protocol.schema.outcome, protocol.evaluation
        try:
            evaluation = yield from _at(HOLDOUT, evaluate_kind(predict, identify_model(raw), outcome, plan))
        except Refused as refused:  # after the sum, so at every site alike
            require(refused.reason in UNTOLD, refused.reason, refused.detail)
    if isinstance(model, TreeModel) and isinstance(evaluation, Evaluation):
        raw = encode_model(msgspec.structs.replace(model, calibration=evaluation.calibration))
    if evaluation is not None and sites:
        evaluation = name_sites(evaluation, protocol.evaluation, sites)
    return Learned(model=raw, evaluation=evaluation, rows=0 if evaluation is None else evaluation.rows)


def answer_question(protocol: Protocol, asked: Asked, *, sites: int) -> Programme[Learned]:
    """Answer a question as a protocol says, over so many sites."""
    if not isinstance(protocol.estimator, Questions):
        raise Refused(Reason.PERMIT_DOES_NOT_COVER, NOT_FOR_QUESTIONS)
    epsilon, delta = protocol.estimator.epsilon_micro / MICRO, protocol.estimator.delta
    answered = yield from answer(asked, rho=protocol.rho, epsilon=epsilon, delta=delta, sites=sites)
    return Learned(model=answered.encode())


def find_public_rho(epsilon_micro: int, delta: float) -> float:
    """Find what may be spent within (epsilon, delta), the same number everywhere."""
    rho = find_rho(epsilon_micro / MICRO, delta)
    return math.ldexp(math.floor(math.ldexp(rho, RHO_BITS)), -RHO_BITS)


def split_site(protocol: Protocol, table: Table, *, number: int, has_holdout: bool = True) -> Site:
    """Part a site's rows into those that train and those that are kept out: a patient's stay together.

    `number` is the site's place among those of the study, counted from 0.
    A hash of the patient's name in the table decides, so that nobody's coming or going moves anybody else.
    Without a holdout the rows of those who are kept out are of no use to anything, not even counted.
    """
    kept_out = np.array([is_kept_out(protocol, one) for one in table.patients], dtype=np.bool_)
    training = table.select(~kept_out)
    memory: dict[str, object] = {
        TRAINING: Site(training, number),
        HOLDOUT: Site(table.select(kept_out & has_holdout), number),
    }
    return Site(table if has_holdout else training, number, memory)


def is_kept_out(protocol: Protocol, patient: str) -> bool:
    """Tell whether a patient is kept out of training, to evaluate on."""
    digest = hashlib.sha256(b"iamata/1/holdout\x00" + patient.encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") % PERCENT < protocol.kept_out_percent


def _fit(protocol: Protocol) -> Programme[Model]:
    match protocol.estimator:
        case Regression(settings=settings):
            fit = yield from fit_linear(protocol.schema, settings)
            return LinearModel(schema=protocol.schema, fit=fit)
        case Trees(settings=boosting):
            boosted = yield from boost(protocol.schema, boosting)
            return TreeModel(schema=protocol.schema, boosted=boosted)
        case Private() as private:
            fit = yield from fit_private(protocol.schema, private.compute_settings())
            return LinearModel(schema=protocol.schema, fit=fit)
        case Bayes(smoothing=smoothing):
            return (yield from fit_bayes(protocol.schema, smoothing=smoothing))
        case Questions():
            raise Refused(Reason.PERMIT_DOES_NOT_COVER, NOT_FOR_TRAINING)


def _at(stage: str, programme: Programme[Result]) -> Generator[Query, Values, Result]:
    """Run a programme on the rows of one stage."""
    try:
        query = next(programme)
        while True:
            sums = yield replace(query, name=f"{stage}/{query.name}", compute=partial(_ask, stage, query))
            query = programme.send(sums)
    except StopIteration as end:
        result: Result = end.value
        return result


def _ask(stage: str, query: Query, _given: object, site: Site) -> Values:
    rows = site.memory[stage]
    if not isinstance(rows, Site):
        raise TypeError(stage)
    return query.compute(query.given, rows)


def _predict(model: Model, table: Table) -> np.ndarray:
    return model.predict(table)
