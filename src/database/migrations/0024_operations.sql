-- How far pricing a period again has come, slice by slice, while its sums still stand at the inputs before: an attempt that
-- ends early leaves its slices to the next one. `stage` names what is priced again and at which inputs.
CREATE TABLE repricings (
  period_id bigint PRIMARY KEY REFERENCES periods,
  stage     text COLLATE "C" NOT NULL,
  priced_to xid8 NOT NULL,
  result    jsonb NOT NULL,
  kept_at   timestamptz NOT NULL DEFAULT now()
);

-- When a sweep for left-over drafts last failed at a submission: it lets the others go first.
ALTER TABLE invoice_submissions ADD COLUMN sweep_failed_at timestamptz;
-- The sweep looks for these submissions only, a handful of all: a day after their election they leave the index.
CREATE INDEX invoice_submissions_to_sweep ON invoice_submissions (coalesce(sweep_failed_at, started_at))
  WHERE attempt > 1 AND stripe_customer_id IS NOT NULL
    AND (swept_at IS NULL OR swept_at - coalesce(elected_at, started_at) < interval '24 hours');

-- Statement triggers are not inherited: each partition of what is immutable refuses to be emptied by one of its own.
DO $$
DECLARE part record;
BEGIN
  FOR part IN
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent IN ('usage_events'::regclass, 'usage_payloads'::regclass)
  LOOP
    EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()',
      part.relname || '_no_truncate', part.relname);
  END LOOP;
END $$;

-- Makes the partition of `usage_payloads` for a month (UTC), with the trigger; false where it is there. With the rights of
-- the owner: the role that the API and the worker log in with owns nothing. It makes no other table than that one.
DO $do$
BEGIN
  EXECUTE format($create$
    CREATE FUNCTION make_payload_partition(month date) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, %1$I, pg_temp AS $body$
    DECLARE
      first date := date_trunc('month', month)::date;
      name  text := 'usage_payloads_' || to_char(first, 'YYYY_MM');
    BEGIN
      IF to_regclass(format('%%I.%%I', '%1$s', name)) IS NOT NULL THEN
        RETURN false;
      END IF;
      EXECUTE format('CREATE TABLE %%I.%%I (LIKE %%1$I.usage_payloads INCLUDING ALL)', '%1$s', name);
      EXECUTE format('ALTER TABLE %%1$I.usage_payloads ATTACH PARTITION %%1$I.%%2$I FOR VALUES FROM (%%3$L) TO (%%4$L)',
        '%1$s', name, first::timestamp AT TIME ZONE 'UTC', (first + interval '1 month') AT TIME ZONE 'UTC');
      EXECUTE format('CREATE TRIGGER %%3$I BEFORE TRUNCATE ON %%1$I.%%2$I FOR EACH STATEMENT EXECUTE FUNCTION %%1$I.refuse_change()',
        '%1$s', name, name || '_no_truncate');
      RETURN true;
    END $body$
  $create$, current_schema());
END $do$;

-- Transaction ids order what the ledger holds: chunks, horizons, seals. They are the server's own, plus an offset that is zero
-- until the database has been moved to another server by dump and restore, where they start low again (`costplus renumber`).
CREATE TABLE ledger_origin (
  only_row          boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  -- The server that the offset is for; another one is looked at before it writes (src/ledger/origin.ts).
  system_identifier bigint NOT NULL,
  xid_offset        bigint NOT NULL DEFAULT 0,
  set_at            timestamptz NOT NULL DEFAULT now()
);
INSERT INTO ledger_origin (system_identifier) SELECT system_identifier FROM pg_control_system();

CREATE FUNCTION ledger_offset() RETURNS numeric LANGUAGE plpgsql STABLE AS $$
DECLARE origin ledger_origin;
BEGIN
  SELECT * INTO STRICT origin FROM ledger_origin;
  IF origin.system_identifier <> (SELECT system_identifier FROM pg_control_system()) THEN
    RAISE EXCEPTION 'this database was written by another server' USING ERRCODE = 'CP001',
      HINT = 'costplus renumber looks at its transaction ids.';
  END IF;
  RETURN origin.xid_offset;
END $$;
-- The ledger's id of this transaction.
CREATE FUNCTION ledger_xid() RETURNS xid8 LANGUAGE sql STABLE AS $$
  SELECT (pg_current_xact_id()::text::numeric + ledger_offset())::text::xid8
$$;
-- The point below which no further append can become visible.
CREATE FUNCTION ledger_horizon() RETURNS xid8 LANGUAGE sql STABLE AS $$
  SELECT (pg_snapshot_xmin(pg_current_snapshot())::text::numeric + ledger_offset())::text::xid8
$$;
