"""
The boundary *database* of the guide's table: effects ``db, audit``; the transaction's border is a type, and a rollback leaves a record.

The script gets a ``Tx`` inside ``in_transaction`` only. ``Ok`` commits, ``Err`` and every failure roll back; both are recorded, the
commit before it happens: what cannot be recorded does not happen.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import reml_embed as reml
from reml_embed.audit import AuditContext, ContextSink, new_id
from reml_embed.registry.capability import CapabilityDescriptor, CapabilityRegistry
from reml_embed.registry.handles import make_handle

HERE = Path(__file__).resolve().parent
CAPABILITY = "bank.transaction"


@dataclass
class Tx:
    """A transaction that is open; the script's value of this name."""

    connection: sqlite3.Connection
    id: str
    changes: list[str] = field(default_factory=list)
    open: bool = True

    def used(self) -> sqlite3.Connection:
        """The connection, while the transaction is open."""
        if not self.open:
            raise reml.StaleError(f"transaction {self.id} is over")
        return self.connection

    def balance(self, account: str) -> reml.Some[int] | None:
        """What stands on an account; None: there is none."""
        row = self.used().execute("SELECT cents FROM account WHERE name = ?", (account,)).fetchone()
        return None if row is None else reml.Some(row[0])

    def post(self, account: str, cents: int) -> None:
        """Add to an account."""
        self.used().execute("UPDATE account SET cents = cents + ? WHERE name = ?", (cents, account))
        self.changes.append(f"{account} {cents:+}")


@dataclass
class Bank:
    """The host's side: a connection, and the borders of its transactions."""

    connection: sqlite3.Connection
    audit: AuditContext

    def in_transaction(self, _bank: Any, work: reml.Function) -> Any:
        """Run *work* between the borders; its ``Ok`` is what stays."""
        tx = Tx(self.connection, new_id())
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            outcome = work(tx)
            if isinstance(outcome, reml.Ok):
                self.record("db.commit", tx, None)
                self.connection.execute("COMMIT")
                return outcome
        except BaseException as error:
            self.back(tx, f"{type(error).__name__}: {error}")
            raise
        finally:
            tx.open = False
        self.back(tx, str(outcome.value))
        return outcome

    def back(self, tx: Tx, reason: str) -> None:
        """Undo what was done, and say so."""
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")
        self.record("db.rollback", tx, reason)

    def record(self, kind: str, tx: Tx, reason: str | None) -> None:
        """The record of a border; its audit id is the transaction's."""
        payload = {"transaction": tx.id, "changes": tx.changes, "reason": reason}
        self.audit.log(kind, payload, category="db", capability=CAPABILITY, audit_id=tx.id,
                       metadata={"db.transaction": tx.id, "db.changes": len(tx.changes), "effect.tags": ["audit", "db"]})  # fmt: skip


def capabilities() -> CapabilityRegistry:
    """A registry that knows what this host offers."""
    registry = CapabilityRegistry()
    facts = {
        "id": CAPABILITY,
        "stage": "stable",
        "effect_scope": ["db", "audit"],
        "provider": {"kind": "runtime_component", "name": "bank"},
    }
    registry.register(make_handle("system", CapabilityDescriptor.from_json(facts)))
    return registry


def open_database(path: Path, accounts: Iterable[tuple[str, int]]) -> sqlite3.Connection:
    """A new database; transactions begin where we say."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE account (name TEXT PRIMARY KEY, cents INTEGER NOT NULL)")
    connection.executemany("INSERT INTO account VALUES (?, ?)", accounts)
    return connection


def run(connection: sqlite3.Connection, log: Path, *orders: tuple[str, str, int]) -> list[str]:
    """Let the script make the transfers; what it reports."""
    with reml.Context(audit=log, registry=capabilities(), grants={CAPABILITY}) as context:
        bank = Bank(connection, AuditContext(ContextSink(context)))
        needs = {"capability": CAPABILITY, "stage": "at_least:stable"}
        context.bind("in_transaction", bank.in_transaction, **needs, effects=["db", "audit"])
        context.bind("Tx.balance", Tx.balance, **needs, effects=["db"])
        context.bind("Tx.post", Tx.post, **needs, effects=["db"])
        module = context.load(HERE / "bank.reml")
        context.set_value("bank", bank)
        return [module["report"](*order) for order in orders]


def borders(log: Path) -> list[dict[str, Any]]:
    """The records of transactions, in their order."""
    found = (json.loads(line)["envelope"] for line in log.read_text(encoding="utf-8").splitlines())
    return [record for record in found if record["metadata"]["event.kind"].startswith("db.")]


def main() -> None:
    """A transfer that is made, one that would overdraw, one to nobody."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "audit.ndjson"
        connection = open_database(Path(folder) / "bank.db", [("ada", 1000), ("ben", 0)])
        print(*run(connection, log, ("ada", "ben", 300), ("ben", "ada", 500), ("ada", "eve", 1)), sep="\n")
        print("balances:", dict(connection.execute("SELECT name, cents FROM account ORDER BY name")))
        for record in borders(log):
            event = record["metadata"]["event"]
            why = f" ({event['reason']})" if event["reason"] else ""
            print(f"  {event['event']}: {', '.join(event['changes'])}{why}")
        print("  log:", reml.audit.verify(log).verdict)
        connection.close()


if __name__ == "__main__":
    main()
