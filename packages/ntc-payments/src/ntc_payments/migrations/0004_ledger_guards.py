"""Let the database itself keep the books balanced and append-only.

PostgreSQL has deferred constraint triggers: the balance is asked at COMMIT, when all entries
of a transaction are there. TRUNCATE is left alone: it empties whole tables, needs the right to
do so, and Django's own tests need it. SQLite (development) has no deferred triggers and Django
empties its tables by DELETE, so there only changes are refused; the balance is kept by
`ntc_payments.services.ledger` alone.
"""

from django.db import migrations

TABLES = ("ntc_payments_ledgertransaction", "ntc_payments_ledgerentry")

POSTGRESQL = [
    """
    CREATE FUNCTION ntc_ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'The ledger is append-only: correct it by a new transaction.'
            USING ERRCODE = 'integrity_constraint_violation';
    END $$
    """,
    """
    CREATE FUNCTION ntc_ledger_require_balance() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        txn bigint;
    BEGIN
        IF TG_TABLE_NAME = 'ntc_payments_ledgertransaction' THEN
            txn := NEW.id;
        ELSE
            txn := NEW.transaction_id;
        END IF;
        IF NOT EXISTS (SELECT 1 FROM ntc_payments_ledgerentry WHERE transaction_id = txn) THEN
            RAISE EXCEPTION 'Ledger transaction % has no entry.', txn
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        IF EXISTS (
            SELECT 1 FROM ntc_payments_ledgerentry WHERE transaction_id = txn
            GROUP BY currency HAVING sum(amount_minor) <> 0
        ) THEN
            RAISE EXCEPTION 'Ledger transaction % is not balanced.', txn
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NULL;
    END $$
    """,
    *(
        f"""
        CREATE CONSTRAINT TRIGGER ntc_ledger_balanced AFTER INSERT ON {table}
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ntc_ledger_require_balance()
        """
        for table in TABLES
    ),
    *(
        f"""
        CREATE TRIGGER ntc_ledger_append_only BEFORE UPDATE OR DELETE ON {table}
        FOR EACH ROW EXECUTE FUNCTION ntc_ledger_refuse_change()
        """
        for table in TABLES
    ),
]

POSTGRESQL_BACK = [
    *(
        f"DROP TRIGGER {name} ON {table}"
        for table in TABLES
        for name in ("ntc_ledger_balanced", "ntc_ledger_append_only")
    ),
    "DROP FUNCTION ntc_ledger_require_balance()",
    "DROP FUNCTION ntc_ledger_refuse_change()",
]

SQLITE = [
    f"""
    CREATE TRIGGER ntc_ledger_no_change_{table} BEFORE UPDATE ON {table}
    BEGIN
        SELECT RAISE(ABORT, 'The ledger is append-only: correct it by a new transaction.');
    END
    """
    for table in TABLES
]

SQLITE_BACK = [f"DROP TRIGGER ntc_ledger_no_change_{table}" for table in TABLES]


def guard(apps, schema_editor):
    _execute(schema_editor, {"postgresql": POSTGRESQL, "sqlite": SQLITE})


def unguard(apps, schema_editor):
    _execute(schema_editor, {"postgresql": POSTGRESQL_BACK, "sqlite": SQLITE_BACK})


def _execute(schema_editor, statements):
    for statement in statements.get(schema_editor.connection.vendor, []):
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [("ntc_payments", "0003_books")]

    operations = [migrations.RunPython(guard, unguard)]
