"""The registry beside a model of it in Python: whatever is done, both answer the same (hypothesis, stateful)."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from reml_embed.registry.capability import (
    AlreadyRegistered,
    CapabilityDescriptor,
    CapabilityError,
    CapabilityId,
    CapabilityRegistry,
    EffectScopeMismatch,
    NotRegistered,
    Provider,
    SecurityViolation,
    StageId,
    StageRequirement,
    StageViolation,
    SystemCapability,
)

NAMES = ["a", "b.c", "b.d", "plug.one", "plug.two", "gc"]
TAGS = ["io", "mem", "audit", "x"]
ids = st.sampled_from(NAMES)
stages = st.sampled_from(list(StageId))
effects = st.sets(st.sampled_from(TAGS))
requirements = st.builds(StageRequirement, st.sampled_from(["exact", "at_least"]), stages)


class Registry(RuleBasedStateMachine):
    """Rules are the operations; the model is a dict in the order of registration."""

    @initialize(legacy=st.booleans())
    def start(self, legacy):
        self.registry = CapabilityRegistry(empty=True, legacy_stable=legacy)
        self.legacy = legacy
        self.model = {}

    def outcome(self, call):
        try:
            return call()
        except CapabilityError as error:
            return type(error)

    @rule(name=ids, stage=stages, tags=effects, plugin=st.booleans())
    def register(self, name, stage, tags, plugin):
        provider = Provider.plugin("plug") if plugin else Provider.runtime_component("host")
        found = self.outcome(
            lambda: self.registry.register(
                SystemCapability(CapabilityDescriptor(CapabilityId(name), stage, tuple(tags), provider))
            )
        )
        assert found is (AlreadyRegistered if name in self.model else None)
        self.model.setdefault(name, {"stage": stage, "effects": tags, "enabled": True, "plugin": plugin})

    @rule(name=ids, requirement=requirements, tags=effects)
    def verify(self, name, requirement, tags):
        row = self.model.get(name)
        if row is None:
            wanted = (
                (StageId.STABLE if requirement.satisfied_by(StageId.STABLE) else StageViolation)
                if self.legacy
                else NotRegistered
            )
        elif not row["enabled"]:
            wanted = SecurityViolation
        elif not requirement.satisfied_by(row["stage"]):
            wanted = StageViolation
        else:
            wanted = row["stage"] if tags <= row["effects"] else EffectScopeMismatch
        assert self.outcome(lambda: self.registry.verify_stage(name, requirement, tags)) is wanted
        result = self.registry.drain()[-1]["envelope"]["metadata"]["capability.result"]
        assert result == ("success" if isinstance(wanted, StageId) else "error")

    @rule(name=ids, stage=st.none() | stages)
    def enable(self, name, stage):
        row = self.model.get(name)
        wanted = (
            NotRegistered if row is None else StageViolation if stage is not None and stage > row["stage"] else None
        )
        assert self.outcome(lambda: self.registry.enable(name, stage)) is wanted
        if wanted is None:
            row["enabled"] = True
            row["stage"] = stage or row["stage"]

    @rule(name=ids)
    def disable(self, name):
        assert self.outcome(lambda: self.registry.disable(name)) is (None if name in self.model else NotRegistered)
        if name in self.model:
            self.model[name]["enabled"] = False

    @rule(name=ids, stage=stages)
    def set_stage(self, name, stage):
        assert self.outcome(lambda: self.registry.set_stage(name, stage)) is (
            None if name in self.model else NotRegistered
        )
        if name in self.model:
            self.model[name]["stage"] = stage

    @rule(name=ids)
    def unregister(self, name):
        assert self.outcome(lambda: self.registry.unregister(name)) is (None if name in self.model else NotRegistered)
        self.model.pop(name, None)

    @rule()
    def revoke(self):
        gone = [name for name, row in self.model.items() if row["plugin"]]
        assert self.outcome(lambda: self.registry.revoke_plugin("plug")) == (gone or NotRegistered)
        for name in gone:
            del self.model[name]
        self.registry.drain()

    @invariant()
    def both_say_the_same(self):
        if not hasattr(self, "model"):
            return
        found = self.registry.describe_all()
        assert [(row.id, row.stage, set(row.effect_scope)) for row in found] == [
            (name, row["stage"], row["effects"]) for name, row in self.model.items()
        ]
        for tag in TAGS:
            wanted = max(
                (row["stage"] for row in self.model.values() if row["enabled"] and tag in row["effects"]), default=None
            )
            assert self.registry.stage_of(tag) is wanted
        for name in NAMES:
            assert (name in self.registry) == (name in self.model)
            if name in self.model:
                assert self.registry.is_enabled(name) == self.model[name]["enabled"]
                assert self.registry.get(name).descriptor() == self.registry.describe(name)


TestRegistry = Registry.TestCase
TestRegistry.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
