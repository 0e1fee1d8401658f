-- Seals, invoice revisions, and their way to Stripe.

-- What an invoice revision is a pure function of (invariant 2).
CREATE TABLE seals (
  period_id        bigint NOT NULL REFERENCES periods,
  revision         integer NOT NULL CHECK (revision > 0),
  sealed_at        timestamptz NOT NULL DEFAULT now(),
  -- The set: events of the period that are not late and whose chunk is below this transaction.
  sealed_xid       xid8 NOT NULL,
  catalog_version  integer NOT NULL REFERENCES catalog_versions,
  inputs_hash      text COLLATE "C" NOT NULL,
  -- Plan versions, customer snapshot, exchange rate, opening balances: the document of src/invoicing.
  inputs           jsonb NOT NULL,
  composer_version integer NOT NULL,
  reason           text NOT NULL,
  PRIMARY KEY (period_id, revision)
);
CREATE TRIGGER seals_immutable BEFORE UPDATE OR DELETE ON seals FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- A result for a sealed period at other inputs than the seal's is refused.
CREATE FUNCTION refuse_foreign_inputs() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE pinned text;
BEGIN
  SELECT inputs_hash INTO pinned FROM seals WHERE period_id = NEW.period_id ORDER BY revision DESC LIMIT 1;
  IF pinned IS NOT NULL AND pinned <> NEW.inputs_hash THEN
    RAISE EXCEPTION 'period % is sealed at other pricing inputs', NEW.period_id
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER pricing_runs_inputs BEFORE INSERT ON pricing_runs
  FOR EACH ROW EXECUTE FUNCTION refuse_foreign_inputs();

CREATE TABLE invoices (
  period_id        bigint NOT NULL,
  revision         integer NOT NULL,
  currency         text COLLATE "C" NOT NULL,
  -- The composed invoice, RFC 8785 bytes; content_hash is their SHA-256 in hex.
  content          text NOT NULL,
  content_hash     text COLLATE "C" NOT NULL,
  subtotal_minor   bigint NOT NULL,
  composed_at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (period_id, revision),
  FOREIGN KEY (period_id, revision) REFERENCES seals
);
CREATE TRIGGER invoices_immutable BEFORE UPDATE OR DELETE ON invoices FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE invoice_lines (
  period_id    bigint NOT NULL,
  revision     integer NOT NULL,
  line_number  integer NOT NULL CHECK (line_number > 0),
  kind         text NOT NULL,
  description  text NOT NULL CHECK (length(description) <= 500),
  line_group   jsonb NOT NULL,
  quantity     text,
  cost         text NOT NULL,
  charge       text NOT NULL,
  amount_minor bigint NOT NULL,
  PRIMARY KEY (period_id, revision, line_number),
  FOREIGN KEY (period_id, revision) REFERENCES invoices
);
CREATE TRIGGER invoice_lines_immutable BEFORE UPDATE OR DELETE ON invoice_lines
  FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- The way of one invoice to Stripe. One row per revision; every write compares `attempt`, so that an attempt that was
-- overtaken (a zombie) can no longer write. Once a draft is elected nothing else is ever finalized (invariant 3).
CREATE TABLE invoice_submissions (
  period_id          bigint NOT NULL,
  revision           integer NOT NULL,
  invoice_key        text COLLATE "C" NOT NULL UNIQUE,
  content_hash       text COLLATE "C" NOT NULL,
  mode               text NOT NULL CHECK (mode IN ('draft', 'stripe')),
  started_at         timestamptz NOT NULL DEFAULT now(),
  attempt            integer NOT NULL DEFAULT 0,
  failed_generations integer NOT NULL DEFAULT 0,
  stripe_customer_id text COLLATE "C",
  elected_invoice_id text COLLATE "C",
  elected_at         timestamptz,
  stripe_status      text,
  stripe_number      text,
  hosted_invoice_url text,
  stripe_subtotal    bigint,
  stripe_total       bigint,
  confirmed_at       timestamptz,
  swept_at           timestamptz,
  PRIMARY KEY (period_id, revision),
  FOREIGN KEY (period_id, revision) REFERENCES invoices
);
CREATE INDEX invoice_submissions_elected ON invoice_submissions (elected_invoice_id);

CREATE FUNCTION keep_elected() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.elected_invoice_id IS NOT NULL AND NEW.elected_invoice_id IS DISTINCT FROM OLD.elected_invoice_id THEN
    RAISE EXCEPTION 'invoice % has elected its draft', OLD.invoice_key USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER invoice_submissions_elected_once BEFORE UPDATE ON invoice_submissions
  FOR EACH ROW EXECUTE FUNCTION keep_elected();

-- Every draft that an attempt made at Stripe; losers are deleted there, and the sweeper looks again after a day.
CREATE TABLE invoice_drafts (
  stripe_invoice_id text COLLATE "C" PRIMARY KEY,
  period_id         bigint NOT NULL,
  revision          integer NOT NULL,
  attempt           integer NOT NULL,
  created_at        timestamptz NOT NULL DEFAULT now(),
  deleted_at        timestamptz,
  FOREIGN KEY (period_id, revision) REFERENCES invoice_submissions
);

-- Calls to Stripe are limited per account over all workers: one row per account, a token bucket.
CREATE TABLE stripe_rate (
  account    text COLLATE "C" PRIMARY KEY,
  tokens     double precision NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- Deliveries repeat and arrive out of order: dedupe by Stripe's event id, then refetch the object.
CREATE TABLE stripe_webhook_events (
  stripe_event_id text COLLATE "C" PRIMARY KEY,
  type            text NOT NULL,
  object_id       text,
  received_at     timestamptz NOT NULL DEFAULT now(),
  processed_at    timestamptz
);

-- Row triggers do not see TRUNCATE: what is immutable cannot be emptied either.
DO $$
DECLARE immutable text;
BEGIN
  FOREACH immutable IN ARRAY ARRAY['audit_log', 'commands', 'catalog_versions', 'catalog_prices', 'catalog_models',
    'catalog_aliases', 'catalog_match_rules', 'catalog_fallback_providers', 'plan_versions', 'plan_assignments',
    'period_timeline', 'usage_events', 'usage_payloads', 'seals', 'invoices', 'invoice_lines']
  LOOP
    EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()',
      immutable || '_no_truncate', immutable);
  END LOOP;
END $$;
