"""
Every kind of event that this project writes, and the keys it must carry: the one place where both stand (CONTRACTS 3.2, 3.3).

Schema, validator, documentation and gates are derived from it. A new kind is a row; names of kinds and keys are those of the contract.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from reml_embed.audit.records import AuditValidationError, Record, has, lookup


@dataclass(frozen=True, slots=True)
class Kind:
    """
    One kind of event.

    Attributes:
        name: value of ``event.kind``.
        category: value of ``category``; empty: that of the caller.
        required: keys that a record of it must carry, as `lookup` finds them.
        optional: further keys that the contract names.
        section: of CONTRACTS.
        meaning: one line.
        verifies_stage: it tells of a checked stage, so ``effect.provider`` and ``effect.manifest_path`` are required with the stage group.
    """

    name: str
    category: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    section: str
    meaning: str
    verifies_stage: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """
    Keys that go together in whatever record.

    Attributes:
        any_of: when one of these is there …
        required: … all of these must be.
    """

    name: str
    any_of: tuple[str, ...]
    required: tuple[str, ...]
    section: str


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _kind(name: str, category: str, required: str, optional: str, section: str, meaning: str, *,
          verifies_stage: bool = False) -> Kind:  # fmt: skip
    return Kind(name, category, _words(required), _words(optional), section, meaning, verifies_stage)


_STAGE = "effect.capability effect.stage.required effect.stage.actual"
_BRIDGE = "bridge.id bridge.stage.required bridge.stage.actual"
_ERROR = "error.code error.message error.severity"
_PIPELINE = "pipeline.id pipeline.dsl_id pipeline.node timestamp"
_PIPELINE_MORE = f"{_STAGE} effect.provider effect.manifest_path scenario.id cli.input cli.run_id cli.command cli.phase cli.program cli.command_line"
_ACTOR = "async.actor.id async.actor.name async.mailbox.depth capability.id"
_MAILBOX = "async.mailbox.high async.mailbox.low async.mailbox.policy"
_TRANSPORT = (
    "async.transport.name async.transport.node async.transport.actor async.transport.secure async.transport.error "
    "async.transport.attempt"
)
_RELOAD_EVENT = "event.bridge_id event.stage event.audit_id event.diff event.state"
_IO_MORE = (
    "io.bytes_processed io.timestamp io.platform io.feature io.buffer.capacity io.buffer.fill bridge.id bridge.capability bridge.stage.required "
    "bridge.stage.actual security.path security.root security.reason security.policy security.policy_digest security.capability"
)
_COLLECTOR_STAGE = "collector.stage.required collector.stage.mode collector.stage.actual collector.stage.mismatch collector.stage.source"
_COLLECTOR_EFFECTS = " ".join(f"collector.effect.{name}" for name in (
    "mem", "mut", "debug", "async_pending", "cell", "rc", "rc_ops", "transfer", "predicate_calls", "mem_bytes", "io", "io_blocking", "io_async",
    "security", "time", "mem_reservation", "reserve", "finish", "cell_mutations", "time_calls", "io_blocking_calls", "io_async_calls",
    "security_events",
))  # fmt: skip
_REF = "collector.effect.rc collector.effect.rc_ops collector.effect.mut"
_QUALITY = "event.audit_id event.severity_max event.latency_ms event.throughput_per_min event.error_rate event.last_audit_id event.custom"
_CONFIG_CHANGE = "config.source config.path config.change_set.total requested_by config.status"
_NESTED_RETURN = "bridge.return.ownership bridge.return.status bridge.return.wrap bridge.return.release_handler bridge.return.rc_adjustment"
#: Of a crossing (CONTRACTS 2.6). A stub crosses no border: it carries ``ffi`` alone (19.3).
BRIDGE_REQUIRED: Final = _words(
    "bridge.status bridge.target bridge.arch bridge.platform bridge.abi bridge.expected_abi bridge.ownership bridge.extern_symbol "
    + _NESTED_RETURN
)
BRIDGE_SHOULD: Final = _words("bridge.audit_pass_rate bridge.callconv")

_ROWS = (
    # 1 Embedding
    _kind("native.embed.call", "native.embed", f"native.embed.entrypoint embed.abi.version embed.status {_STAGE} effect.provider effect.manifest_path target.os target.arch target.triple",
          f"native.embed.abi_mismatch native.embed.unsupported_target embed.run.entrypoint embed.source.bytes {_ERROR}", "1.6", "a call of create, load, run or dispose", verifies_stage=True),
    _kind("native.intrinsic", "native.intrinsic", "native.intrinsic.used intrinsic.name intrinsic.signature", _ERROR, "1.6", "a native intrinsic was used"),
    _kind("native.inline_asm", "native.inline_asm", "native.inline_asm.used asm.template_hash asm.constraints", _ERROR, "1.6", "inline assembly was used"),
    _kind("native.llvm_ir", "native.llvm_ir", "native.llvm_ir.used llvm_ir.template_hash llvm_ir.inputs", _ERROR, "1.6", "inline LLVM IR was used"),
    _kind("runtime.limits.unlimited", "runtime", "limits.unlimited", "", "1.4", "limits that a host took away"),
    # 2 FFI bridge
    _kind("ffi.call", "ffi.bridge", "ffi.event ffi.library ffi.symbol ffi.effect_flags ffi.status",
          f"bridge ffi.call_id ffi.call_site ffi.latency_ns ffi.capability ffi.capability_stage ffi.wrapper ffi.count ffi.failures ffi.first_at ffi.last_at {_ERROR}", "2.6", "a crossing of the border, or a summary of many"),
    _kind("ffi.call.start", "ffi", "ffi.call_id ffi.library ffi.symbol", "", "2.3", "a foreign function is about to be called"),
    _kind("ffi.call.end", "ffi", "ffi.call_id ffi.library ffi.symbol", "", "2.3", "it has answered"),
    _kind("unsafe.region", "runtime", "unsafe.function unsafe.line", "unsafe.module", "0.7", "an `unsafe` block ran"),
    # 3 The log itself
    _kind("audit.recovered", "audit", "audit.recovery.events audit.recovery.cut_bytes audit.recovery.damaged_events audit.recovery.missing_records",
          "audit.recovery.cut_offset audit.recovery.cut_sha256", "0.5", "what an opener found that an ended process had left"),
    _kind("audit.records_lost", "audit", "audit.records.lost", "", "0.5", "records let go while the sink failed"),
    _kind("audit.durability_unknown", "audit", "audit.durability.first audit.durability.last", "", "0.5", "records that a failed sync may have left off the disk"),
    _kind("audit.sink_failed", "audit", "audit.sink.name audit.sink.failures error.code error.message error.severity", "", "3.1", "a secondary sink refused records"),
    # 3.2
    _kind("pipeline_started", "pipeline", _PIPELINE, _PIPELINE_MORE, "3.2", "a pipeline began"),
    _kind("pipeline_completed", "pipeline", f"{_PIPELINE} pipeline.outcome pipeline.count", f"pipeline.diagnostics pipeline.exit_code {_PIPELINE_MORE}", "3.2", "a pipeline ended"),
    _kind("pipeline_failed", "pipeline", f"{_PIPELINE} {_ERROR}", f"pipeline.exit_code {_PIPELINE_MORE}", "3.2", "a pipeline failed"),
    _kind("capability_mismatch", "capability", "capability.id capability.expected_stage capability.actual_stage dsl.node", _STAGE, "3.2", "a capability has not the stage that was asked for"),
    _kind("capability_check", "capability", f"capability.id capability.result {_STAGE} capability.ids effect.required_capabilities effect.actual_capabilities",
          "event.domain effect.provider effect.manifest_path effect.required_effects effect.actual_effects effect.capability_descriptor capability.provider capability.provider.kind capability.error.code "
          "capability.error.message effect.missing_effects config.manifest.path config.manifest.span.start config.manifest.span.end "
          "plugin.package plugin.version script.file script.line script.column script.symbol", "3.2, 4.5", "a capability and its stage were verified", verifies_stage=True),
    _kind("async_supervisor_restarted", "async.supervisor", "async.supervisor.id async.supervisor.actor async.supervisor.restart_count", "", "3.2", "a supervisor restarted a child"),
    _kind("async_supervisor_exhausted", "async.supervisor", "async.supervisor.id async.supervisor.actor async.supervisor.restart_count async.supervisor.budget async.supervisor.outcome", "", "3.2", "a supervisor gave up"),
    _kind("config_compat_changed", "config", "config.source config.format config.profile config.compatibility", "", "3.2", "a compatibility profile was chosen"),
    _kind("env_mutation", "env", "env.operation env.key env.scope requested_by", "env.status env.failure_reason", "3.2", "a variable of the environment was changed"),
    _kind("bridge_stage_verified", "bridge", f"{_BRIDGE} pipeline.id pipeline.dsl_id bridge.reload.diff bridge.reload.requested_by", "bridge.capability pipeline.node", "3.2", "the stage of a bridge was verified"),
    _kind("bridge.reload", "bridge", f"bridge.reload {_BRIDGE}", f"bridge.capability {_RELOAD_EVENT}", "3.2, 11", "a bridge was reloaded"),
    _kind("bridge.rollback", "bridge", f"bridge.reload {_BRIDGE}", f"bridge.capability event.status {_RELOAD_EVENT}", "3.2, 11", "a bridge went back"),
    _kind("snapshot.updated", "snapshot", "snapshot.name snapshot.hash", "", "3.2", "a golden snapshot was rewritten"),
    _kind("doc.doctest", "doc", "", "", "3.2", "an example of the documentation ran"),
    _kind("dsl.object.dispatch", "dsl", "dsl.id dsl.node dsl.object.handle dsl.object.class dsl.dispatch.method dsl.dispatch.cache", "", "3.2", "a method of a DSL object was looked up"),
    _kind("dsl.gc.root", "dsl", "dsl.id dsl.node dsl.gc.heap dsl.gc.action dsl.gc.root_id", "", "3.2", "a root was registered, released or promoted"),
    _kind("dsl.actor.mailbox", "dsl", "dsl.id dsl.node dsl.actor.id dsl.mailbox.id dsl.mailbox.action dsl.mailbox.depth", "", "3.2", "a mailbox changed"),
    _kind("dsl.vm.execute", "dsl", "dsl.id dsl.node dsl.vm.id dsl.vm.instruction dsl.vm.frame.depth dsl.vm.pc", "", "3.2", "a step of a DSL's machine"),
    # 4 Capabilities
    _kind("capability.enable", "capability", "capability.id stage capability", "", "4.6", "`reml capability enable`"),
    _kind("capability.disable", "capability", "capability.id", "stage capability", "4.6", "`reml capability disable`"),
    _kind("capability.stage.promote", "capability", "capability.id stage capability", "capability.from capability.to", "4.6", "`reml capability stage promote`"),
    _kind("capability.stage.check", "capability", "capability.id stage capability", "event.tests_passed event.exit_code event.command", "4.6", "`reml capability stage check`"),
    _kind("plugin.revoke", "capability", "plugin.id plugin.package plugin.capabilities", "plugin.version", "4.2", "the entries of a plug-in were removed"),
    # 5 Target
    _kind("toolchain.verify", "target", "toolchain.profile toolchain.status toolchain.report target.hash", "", "5.5", "a toolchain was compared with its profile"),
    _kind("target.diagnostic", "target", f"target.profile.requested target.profile.detected {_ERROR}", "", "5.5", "target and machine differ"),
    _kind("reml.test", "ci", "event.target event.features event.diagnostics event.duration_ms", "", "5.5", "the structured log's line of a test run"),
    # 6 Core.IO
    _kind("core.io.operation", "core.io", "io.operation io.path io.capability io.helper", f"{_IO_MORE}", "6.4", "files were read or written"),
    _kind("core.io.error", "core.io", "io.operation io.capability io.error.kind", f"io.path io.helper {_IO_MORE} {_ERROR}", "6.4", "an operation on files failed"),
    _kind("core.io.watch", "core.io", "io.operation io.capability io.watch.queue_size io.watch.delay_ns", f"io.watch.paths io.watch.events_total io.watch.events io.helper {_IO_MORE}", "6.4", "a watcher saw something"),
    _kind("core.path.glob", "core.io", "io.operation io.capability io.helper io.glob.pattern", f"io.glob.offending_path io.path {_IO_MORE}", "6.4", "paths were matched"),
    # 7, 8 Collections
    _kind("collector.finish", "collector", "collector.capability collector.effect.audit", f"collector.kind collections.change_set.total case {_COLLECTOR_STAGE} {_COLLECTOR_EFFECTS} collector.error.kind collector.error.key", "7.4", "a collector finished"),
    *(_kind(f"ref.{what}", "ref", _REF, "ref.strong_count collector.effect.mem", "8", f"a shared cell: {what}") for what in ("new", "clone", "borrow", "borrow_mut", "drop")),
    # 9 Telemetry
    _kind("telemetry.constraint_graph", "telemetry", "telemetry.path telemetry.nodes telemetry.edges cli.run_id", "", "9", "a constraint graph was exported"),
    # 10 Config
    *(_kind(f"config.{what}", "config", f"{_CONFIG_CHANGE}", "cli.change_set config.migration.steps config.migration.risk config.migration.downtime config.migration.estimated_seconds", "10.6", f"a configuration: {what}") for what in ("diff", "apply", "approve", "rollback")),
    _kind("reml.data.validate", "data", "event.profile event.findings event.stats event.generated_at", _QUALITY, "10.6", "data were validated"),
    _kind("reml.data.apply", "data", "event.profile event.findings event.stats event.generated_at", _QUALITY, "10.6", "a change of data was applied"),
    # 11 Reload
    _kind("parser.reload", "bridge", f"config.change_set.total reload.run_id {_BRIDGE}", "bridge.capability", "11", "a parser was replaced"),
    _kind("reml.reload", "bridge", "event.audit_id event.change_set", "", "11", "the structured log's line of a reload"),
    # 12 Bridges
    _kind("bridge.stage", "bridge", _BRIDGE, "bridge.capability bridge.stage.mode bridge.stream.signal event.stage", "12.6", "the stage of a bridge, or a signal of its stream"),
    _kind("bridge.smoke_test", "bridge", _BRIDGE, "bridge.capability", "12.6", "a bridge was tried"),
    _kind("bridge.promote", "bridge", f"{_BRIDGE} bridge.from bridge.to bridge.evidence", "bridge.capability", "12.6", "a bridge was promoted"),
    _kind("bridge.rollout", "bridge", f"{_BRIDGE} outcome bridge.checklist", "bridge.capability", "12.6", "a bridge was rolled out"),
    _kind("bridge.check_off", "bridge", f"{_BRIDGE} event.item", "bridge.capability event.evidence", "12.6", "an item of a bridge's checklist is done"),
    _kind("bridge.promotion_frozen", "bridge", f"{_BRIDGE} bridge.cause", "bridge.capability", "12.4", "a failed gate holds promotions of a bridge up"),
    # 13 Metrics
    _kind("metric_point", "metrics", "metric_point.name metric_point.value metric_point.kind metric_point.timestamp metric_point.tags", "", "13", "one measured value"),
    # 14 Streams
    _kind("parser.stream", "parser.stream", "stream.event", "bridge.stream.signal", "14.3", "the hook of streams"),
    _kind("parser.stream.progress", "parser.stream", "stream.consumed_bytes stream.lap_ms stream.buffer_fill_ratio", "", "14.3", "a stream went on"),
    _kind("parser.stream.pending", "parser.stream", "event.reason event.resume_hint stream.last_reason", "bridge.stream.signal", "14.3", "a stream waits"),
    _kind("parser.stream.error", "parser.stream", f"stream.last_reason {_STAGE} bridge.reload stream.error.kind", "last_checkpoint effect.provider effect.manifest_path", "14.3", "a stream failed"),
    _kind("parser.stream.metrics", "parser.stream", "parser.stream.outcome_consistency parser.stream.demandhint_coverage", "", "14.3", "figures of streams"),
    # 15 Collector of garbage
    _kind("gc.stats", "gc", "event.policy event.profile event.heap_bytes event.heap_limit event.last_pause_ms event.total_collections event.pause_target_ms event.run_id event.timestamp",
          "event.reason event.severity", "15", "a collection ended"),
    _kind("gc.root", "gc", "", "dsl.gc.root_id dsl.gc.heap", "15", "a root was registered"),
    _kind("gc.root.release", "gc", "", "dsl.gc.root_id dsl.gc.heap", "15", "a root was released"),
    # 16 GPU
    _kind("gpu.init", "gpu", "gpu.device_id", "gpu.backend gpu.name", "16", "a device was chosen"),
    _kind("gpu.launch", "gpu", "gpu.kernel latency_ms error_code gpu.device_id", "", "16", "a kernel ran"),
    _kind("gpu.alloc", "gpu", "gpu.buffer.id gpu.bytes", "", "16", "memory of a device was taken"),
    _kind("gpu.free", "gpu", "gpu.buffer.id gpu.bytes", "", "16", "memory of a device was given back"),
    _kind("gpu.leak", "gpu", "gpu.device_id", "gpu.buffer.id gpu.bytes", "16", "a device was left with live buffers"),
    _kind("gpu.telemetry", "gpu", "gpu.temperature_c gpu.error_code gpu.message", "", "16", "the condition of a device"),
    _kind("gpu.error", "gpu", "gpu.temperature_c gpu.error_code gpu.message", "", "16", "a device failed"),
    # 17 Embedded I/O
    _kind("embedded.init", "embedded", "", "embedded.map embedded.device", "17", "a register map was opened"),
    _kind("embedded.write", "embedded", "embedded.register embedded.mask embedded.previous embedded.current", "", "17", "a register was written"),
    _kind("embedded.telemetry", "embedded", "", "event.custom", "17", "the condition of a device"),
    _kind("embedded.rollback", "embedded", "event.status event.audit_id", "", "17", "registers went back"),
    _kind("embedded.failsafe", "embedded", "", "embedded.register", "17", "safe values were written"),
    # 18 WASI and containers
    _kind("wasi.run", "wasi", "target.profile.requested target.profile.detected wasi.engine wasi.exit", "", "18", "a run in a sandbox"),
    _kind("container.start", "container", "container.profile target_config_errors", "", "18", "a container began"),
    # 19 Effects
    _kind("effects.stage.missing_opt_in", "effects", "diagnostic.message diagnostic.severity source.line", f"capability.id effect.handler source.file source.module {_STAGE} effect.provider effect.manifest_path", "19.2", "code uses what is experimental, and nobody has opted in"),
    _kind("effects.stage.check", "effects", "test.target test.passed", f"capability.id effect.diagnostics.open {_STAGE} effect.provider effect.manifest_path", "19.2", "a test ran whose outcome counts for promotion"),
    _kind("effects.handled", "effects", f"{_STAGE} effect.order.before effect.order.after effect.residual.diff effect.handler", "effect.type_row.requested_mode effect.type_row.available_mode effect.type_row.guard_stage", "19.2", "a handler handled an effect"),
    # 20 Actors
    *(_kind(f"async.actor.{what}", "async.actor", _ACTOR, "", "20", f"an actor: {what}") for what in ("spawn", "send", "drop", "stop", "capability_missing", "unhandled_message")),
    _kind("async.mailbox.policy_changed", "async.mailbox", _MAILBOX, "", "20", "a mailbox got another policy"),
    _kind("async.mailbox.high_watermark", "async.mailbox", _MAILBOX, "", "20", "a mailbox is full"),
    *(_kind(f"async.transport.{what}", "async.transport", "async.transport.name async.transport.secure", _TRANSPORT, "20", f"a transport: {what}") for what in ("register", "route", "fail", "capability_missing")),
    _kind("async.ask.timeout", "async.actor", "", _ACTOR, "20", "nobody answered in time"),
    # 21 Diagnostics
    _kind("diagnostic.emitted", "diagnostics", "", f"diagnostic.id {_ERROR} {_BRIDGE} {_STAGE}", "21", "a diagnostic of severity error or warning was shown"),
)  # fmt: skip

#: Every kind by name, in the order of the contract.
KINDS: Final[dict[str, Kind]] = {row.name: row for row in _ROWS}

#: What a kind that begins with ``bridge.`` and has no row of its own must carry (CONTRACTS 3.2).
BRIDGE_KIND: Final = _kind("bridge.*", "bridge", _BRIDGE, "bridge.capability", "3.2", "any other event of a bridge")

#: CONTRACTS 3.3. ``bridge.capability`` is found in ``envelope.capability``, too.
GROUPS: Final[tuple[Group, ...]] = (
    Group("stage", _words(_STAGE), _words(_STAGE), "3.3.1"),
    Group("bridge", _words(_BRIDGE), (*_words(_BRIDGE), "bridge.capability"), "3.3.2"),
    Group("target", _words("bridge.target.requested bridge.target.detected"), _words("bridge.target.requested bridge.target.detected"), "3.3.3"),
    Group("effect order", _words("effect.order.before effect.order.after"),
          _words("effect.order.before effect.order.after effect.residual.diff effect.type_row.requested_mode effect.type_row.available_mode effect.type_row.guard_stage"), "3.3.4"),
)  # fmt: skip

#: Keys of every envelope record (CONTRACTS 0.5).
BASE_KEYS: Final = ("event.kind", "schema.version", "audit.policy.version", "audit.channel")
#: Keys that the library gives to records of a file.
CHAIN_KEYS: Final = ("audit.sequence", "audit.chain.previous", "audit.chain.hash")
#: ``schema.version`` and ``audit.policy.version`` of what this project writes (CONTRACTS 0.1).
SCHEMA_VERSION: Final = "3.0.0-alpha"
POLICY_VERSION: Final = "rust.poc.audit.v1"
#: Values of ``audit.channel``.
CHANNELS: Final = ("cli", "embed", "runtime", "bridge", "lsp", "ci")

#: What a key may say where the contract lists it; keys that are not here may say anything.
VALUES: Final[dict[str, tuple[str, ...]]] = {
    "audit.channel": CHANNELS,
    "bridge.ownership": ("borrowed", "transferred", "reference", "none"),
    "bridge.reload": ("applied", "dry_run", "rejected", "failed", "rolled_back", "none"),
    "bridge.return.ownership": ("borrowed", "transferred", "none"),
    "bridge.return.rc_adjustment": ("dec_ref", "none"),
    "bridge.return.release_handler": ("dec_ref", "none"),
    "bridge.return.status": ("wrap", "wrap_and_release", "pending", "failure", "null", "none"),
    "bridge.return.wrap": ("wrap_foreign_ptr", "none"),
    "bridge.status": ("ok", "error", "leak"),
    "capability.result": ("success", "error"),
    "dsl.dispatch.cache": ("hit", "miss", "disabled"),
    "dsl.gc.action": ("register", "release", "promote"),
    "dsl.mailbox.action": ("enqueue", "dequeue", "spawn", "shutdown"),
    "error.severity": ("error", "warning", "info", "hint"),
    "ffi.status": ("success", "failed", "stubbed", "leak"),
    "pipeline.exit_code": ("success", "failure"),
}

#: Of a verified stage, with the stage group; null is a value.
STAGE_VERIFIED: Final = ("effect.provider", "effect.manifest_path")


def kind_of(name: str | None) -> Kind | None:
    """The row of a kind; that of ``bridge.*`` for unknown kinds of bridges; None for custom kinds."""
    if name is None:
        return None
    found = KINDS.get(name)
    return BRIDGE_KIND if found is None and name.startswith("bridge.") else found


def _is_stub(record: Record) -> bool:
    return bool(lookup(record, "ffi.status") == "stubbed")


def _has(record: Record, key: str) -> bool:
    if has(record, key):
        return True
    if key == "bridge.capability":
        return record.capability is not None
    # The payload of a flat record is the record itself.
    return record.is_flat and key.startswith("event.") and has(record, key[6:])


def missing_keys(record: Record) -> list[str]:
    """
    Keys that the record's kind and the groups of CONTRACTS 3.3 demand and that it lacks: sorted, unique. ``["metadata"]`` when its metadata
    is empty. Unknown kinds demand nothing; a key with the value null is there.
    """
    if not record.is_flat and not record.metadata:
        return ["metadata"]
    wanted: set[str] = set()
    row = kind_of(record.kind)
    if row is not None:
        wanted.update(row.required)
        if row.name == "ffi.call" and not _is_stub(record):
            wanted.update(BRIDGE_REQUIRED)
    for group in GROUPS:
        if any(has(record, key) for key in group.any_of):
            wanted.update(group.required)
            if group.name == "stage" and row is not None and row.verifies_stage:
                wanted.update(STAGE_VERIFIED)
    return sorted(key for key in wanted if not _has(record, key))


def missing_text(missing: Iterable[str]) -> str:
    """The error text of CONTRACTS 3.3.6."""
    return f"audit metadata validation failed: missing keys [{', '.join(sorted(set(missing)))}]"


def require_keys(record: Record) -> None:
    """
    Refuse a record that lacks keys.

    Raises:
        AuditValidationError: with the text of CONTRACTS 3.3.6.
    """
    missing = missing_keys(record)
    if missing:
        raise AuditValidationError(missing_text(missing), tuple(missing))
