"""Every member of every family is what its family is made of, and is tested."""

from typing import get_args

import pytest
from model_cases import DECODER_CASES, ENCODER_CASES, FLOW_CONFIGS, PRIOR_CASES

from iafsweep.config import DECODERS, ENCODERS, FLOWS, HEADS, LIKELIHOODS, PRIORS, MadeConfig
from iafsweep.config.plugins import FAMILIES
from iafsweep.models import CONTEXT_ENTRIES
from iafsweep.models.context import ContextEntry
from iafsweep.models.decoders import Decoder
from iafsweep.models.encoders import Encoder
from iafsweep.models.flows import Flow, FlowStep, IdentityFlow, StepwiseFlow, build_flow
from iafsweep.models.heads import Head
from iafsweep.models.likelihoods import Likelihood, PixelLikelihood
from iafsweep.models.made import ConditionalMade
from iafsweep.models.priors import Prior

BASES = {
    ENCODERS.path: Encoder,
    DECODERS.path: Decoder,
    FLOWS.path: FlowStep,
    PRIORS.path: Prior,
    LIKELIHOODS.path: PixelLikelihood,
    HEADS.path: Head,
}


def descendants(base):
    """Every class of the package below a base that can be made."""
    for each in base.__subclasses__():
        is_member = each.__module__.startswith("iafsweep.") and not each.__abstractmethods__
        yield from ([each] if is_member else [])
        yield from descendants(each)


@pytest.mark.parametrize("config", [each for each in FLOW_CONFIGS.values() if each.depth])
def test_what_the_configuration_knows_of_a_flow_is_so(config):
    kind = config.kind
    member = FLOWS.members[kind]
    step = FLOWS.load(kind).from_config(config, 4, 0.1, reverse=False)
    assert member.pushes_scores == step.pushes_scores == config.pushes_scores
    assert member.masked == config.has_made == any(isinstance(part, ConditionalMade) for part in step.modules())


@pytest.mark.parametrize("path", BASES)
def test_registry_has_every_member(path):
    members = {FAMILIES[path].load(kind) for kind in FAMILIES[path].members}
    assert members == set(descendants(BASES[path]))


@pytest.mark.parametrize("path", FAMILIES)
def test_every_member_is_where_its_line_says(path):
    assert all(FAMILIES[path].load(kind) is not None for kind in FAMILIES[path].members)


def test_context_entries_are_those_of_the_configuration():
    assert set(CONTEXT_ENTRIES) == set(get_args(MadeConfig.model_fields["context_mode"].annotation))
    assert set(CONTEXT_ENTRIES.values()) == set(ContextEntry.__subclasses__())


@pytest.mark.parametrize("base", [*BASES.values(), Flow, ContextEntry, Likelihood])
def test_members_are_final_and_bases_abstract(base):
    assert all(member.__final__ for member in descendants(base))
    with pytest.raises(TypeError, match="abstract"):
        base()


def test_every_member_has_a_case():
    assert set(ENCODER_CASES) == set(ENCODERS.members)
    assert set(DECODER_CASES) == set(DECODERS.members)
    assert set(PRIOR_CASES) == set(PRIORS.members)
    flows = [build_flow(config, 4, 0.1) for config in FLOW_CONFIGS.values()]
    assert {type(flow) for flow in flows} == {IdentityFlow, StepwiseFlow}
    steps = {type(step) for flow in flows if isinstance(flow, StepwiseFlow) for step in flow.steps}
    assert steps == {FLOWS.load(kind) for kind in FLOWS.members}


@pytest.mark.parametrize("path", BASES)
def test_sections_of_members_are_fields_of_their_family(path):
    family = FAMILIES[path]
    for kind, member in family.members.items():
        assert (kind in family.owner.model_fields) == (member.section is not None)


def test_unknown_name_lists_known_ones():
    with pytest.raises(
        ValueError, match=f"unknown model.encoder.kind 'vit'; known: {', '.join(sorted(ENCODERS.members))}"
    ):
        ENCODERS.load("vit")
