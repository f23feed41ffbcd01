"""Configuration: frozen typed sections, their rules, and TOML files.

``section`` base class · ``family`` parts that are chosen by name, ``plugins`` those of other packages · ``sources``
named data sets, and the format of an image · ``data``, ``model`` (with the likelihood), ``training``, ``evaluation``
the sections · ``run`` rules between sections · ``sweep`` the [sweep] table of a search space, and a sweep's procedure ·
``files`` TOML files and overrides · ``meaning`` files of other versions · ``problems`` error messages.
"""

from iafsweep.config.data import DataConfig
from iafsweep.config.evaluation import (
    EvaluationConfig,
    HaisConfig,
    HaisSettings,
    ImportanceSamplingConfig,
    SandwichConfig,
    Start,
    UntilErrorConfig,
)
from iafsweep.config.family import Family, Member, MemberConfig
from iafsweep.config.files import RunConfig, dump_config, load_config
from iafsweep.config.model import (
    DECODERS,
    ENCODERS,
    FLOWS,
    HEADS,
    LIKELIHOODS,
    PRIORS,
    AutoregressiveConfig,
    DecoderConfig,
    EncoderConfig,
    FlowConfig,
    FlowMember,
    LikelihoodConfig,
    MadeConfig,
    MlpConfig,
    ModelConfig,
    PriorConfig,
)
from iafsweep.config.plugins import load_plugin
from iafsweep.config.section import Section, field_paths, get_path
from iafsweep.config.sources import SOURCES, ImageFormat, SourceFacts, source_facts
from iafsweep.config.sweep import SamplerMember
from iafsweep.config.training import TrainingConfig

__all__ = [
    "DECODERS", "ENCODERS", "FLOWS", "HEADS", "LIKELIHOODS", "PRIORS", "SOURCES", "AutoregressiveConfig",
    "DataConfig", "DecoderConfig", "EncoderConfig", "EvaluationConfig", "Family", "FlowConfig", "FlowMember",
    "HaisConfig", "HaisSettings", "ImageFormat", "ImportanceSamplingConfig", "LikelihoodConfig", "MadeConfig",
    "Member", "MemberConfig", "MlpConfig", "ModelConfig", "PriorConfig", "RunConfig", "SamplerMember",
    "SandwichConfig", "Section",
    "SourceFacts", "Start", "TrainingConfig", "UntilErrorConfig", "dump_config", "field_paths", "get_path",
    "load_config", "load_plugin", "source_facts",
]  # fmt: skip
