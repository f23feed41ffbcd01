"""Every member of every family can be named in a configuration, and is tested."""

from typing import get_args

import pytest
from model_cases import DECODER_CASES, ENCODER_CASES, FLOW_CONFIGS

from iafsweep.config import DecoderConfig, EncoderConfig, LikelihoodConfig, MadeConfig
from iafsweep.models import CONTEXT_ENTRIES, DECODERS, ENCODERS, LIKELIHOODS
from iafsweep.models.context import ContextEntry
from iafsweep.models.decoders import Decoder
from iafsweep.models.encoders import Encoder
from iafsweep.models.flows import Flow, build_flow
from iafsweep.models.likelihoods import Likelihood
from iafsweep.models.registry import find_member


@pytest.mark.parametrize(
    ("registry", "section", "field"),
    [
        (ENCODERS, EncoderConfig, "kind"),
        (DECODERS, DecoderConfig, "kind"),
        (CONTEXT_ENTRIES, MadeConfig, "context_mode"),
        (LIKELIHOODS, LikelihoodConfig, "kind"),
    ],
)
def test_registry_has_exactly_the_names_of_the_configuration(registry, section, field):
    names = get_args(section.model_fields[field].annotation)
    if type(None) in names:
        names = get_args(names[0])
    assert set(registry) == set(names)


@pytest.mark.parametrize(
    ("registry", "base"),
    [(ENCODERS, Encoder), (DECODERS, Decoder), (CONTEXT_ENTRIES, ContextEntry), (LIKELIHOODS, Likelihood)],
)
def test_registry_has_every_member(registry, base):
    assert set(registry.values()) == set(base.__subclasses__())


@pytest.mark.parametrize("base", [Encoder, Decoder, Flow, ContextEntry, Likelihood])
def test_members_are_final_and_bases_abstract(base):
    assert all(member.__final__ for member in base.__subclasses__())
    with pytest.raises(TypeError, match="abstract"):
        base()


def test_every_member_has_a_case():
    assert set(ENCODER_CASES) == set(ENCODERS)
    assert set(DECODER_CASES) == set(DECODERS)
    assert {type(build_flow(config, 4, 0.1)) for config in FLOW_CONFIGS.values()} == set(Flow.__subclasses__())


def test_sizes_of_every_kind_have_a_section():
    assert set(EncoderConfig.model_fields) - {"kind"} == set(ENCODERS)
    assert set(DecoderConfig.model_fields) - {"kind"} == set(DECODERS)


def test_unknown_name_lists_known_ones():
    with pytest.raises(ValueError, match=f"unknown encoder 'vit'; known: {', '.join(sorted(ENCODERS))}"):
        find_member(ENCODERS, "encoder", "vit")
