"""The JSON schema of `scenario.toml`, for editors: completion and faults while one types.

It is made from the very settings that `read_scenario` reads, so the two cannot drift apart.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from broker_api.config import AccountConfig, OrderManagerConfig, Settings, SimulationConfig
from broker_api.risk_rules import RiskRules
from scenarios.expectation import Expectation
from scenarios.recipe import SyntheticRecipe
from scenarios.sweep import FIGURES

_MODELS: tuple[type[Settings], ...] = (
    AccountConfig,
    Expectation,
    OrderManagerConfig,
    RiskRules,
    SimulationConfig,
    SyntheticRecipe,
)


def scenario_schema() -> dict[str, Any]:
    """The schema of a scenario's file, JSON Schema draft 2020-12."""
    _, parts = models_json_schema([(model, "validation") for model in _MODELS])
    definitions = parts["$defs"]
    # A table of rules may begin with a preset's name and change single rules of it.
    definitions["RiskRules"]["properties"]["preset"] = {"type": "string"}
    statistics = definitions["Expectation"]["properties"]["statistics"]
    statistics["propertyNames"] = {"enum": list(FIGURES)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "papertape scenario",
        "type": "object",
        "additionalProperties": False,
        "required": ["strategy"],
        "properties": _properties(),
        "$defs": definitions,
    }


def _properties() -> dict[str, Any]:
    text = {"type": "string"}
    texts = {"type": "array", "items": text}
    recipe = {
        "type": "object",
        "additionalProperties": False,
        "required": ["synthetic"],
        "properties": {"synthetic": _of(SyntheticRecipe)},
    }
    share = {"type": "string", "pattern": r"^[0-9.]+%$"}
    amount = {"type": "number", "minimum": 0}
    return {
        "strategy": {
            "type": "string",
            "pattern": r"^.+\.py:[A-Za-z_]\w*$",
            "description": "the file, relative to this one, and its coroutine function",
        },
        "description": text,
        "as": {**text, "description": "the package name that means papertape in the script"},
        "instruments": texts,
        "catalog": texts,
        "tapes": {
            "type": "object",
            "additionalProperties": {"anyOf": [text, recipe]},
            "description": "by symbol a Parquet file or a recipe; left out, the sample is played",
        },
        "parameters": {"type": "object", "description": "arguments of the strategy"},
        "simulation": _of(SimulationConfig),
        "account": _of(AccountConfig),
        "order_manager": _of(OrderManagerConfig),
        "risk": {"anyOf": [text, _of(RiskRules)]},
        "rehearse_for": text,
        "broker": text,
        "broker_options": {"type": "object"},
        "expect": _of(Expectation),
        "tolerance": {
            "type": "object",
            "propertyNames": {"enum": list(FIGURES)},
            "additionalProperties": {"anyOf": [amount, share]},
        },
    }


def _of(model: type[Settings]) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{model.__name__}"}
