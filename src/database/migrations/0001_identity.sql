-- Who may send and who may ask: usage sources with signing secrets, API keys, the audit log.

CREATE EXTENSION IF NOT EXISTS btree_gist;

-- Refuses every change of a row; the trigger behind invariant 5.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% rows are immutable', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TABLE sources (
  source_id        text COLLATE "C" PRIMARY KEY CHECK (source_id ~ '^[A-Za-z0-9._:-]{1,128}$'),
  default_provider text COLLATE "C",
  may_backfill     boolean NOT NULL DEFAULT false,
  created_at       timestamptz NOT NULL DEFAULT now(),
  disabled_at      timestamptz
);

-- Several secrets of one source are valid at once, so that a secret can be rotated. Sealed with the key of
-- COSTPLUS_ENCRYPTION_KEY (AES-256-GCM); a dump of this table opens nothing.
CREATE TABLE source_secrets (
  source_id     text COLLATE "C" NOT NULL REFERENCES sources,
  secret_id     bigint GENERATED ALWAYS AS IDENTITY,
  sealed_secret bytea NOT NULL,
  created_at    timestamptz NOT NULL DEFAULT now(),
  expires_at    timestamptz,
  PRIMARY KEY (source_id, secret_id)
);

CREATE TABLE api_keys (
  prefix      text COLLATE "C" PRIMARY KEY,
  secret_hash bytea NOT NULL CHECK (length(secret_hash) = 32),
  role        text NOT NULL CHECK (role IN ('service', 'ops', 'finance')),
  source_id   text COLLATE "C" REFERENCES sources,
  name        text NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  revoked_at  timestamptz,
  CHECK (source_id IS NULL OR role = 'service')
);

CREATE TABLE audit_log (
  audit_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at          timestamptz NOT NULL DEFAULT now(),
  actor       text NOT NULL,
  action      text NOT NULL,
  customer_id text COLLATE "C",
  subject     text NOT NULL,
  detail      jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_log_customer ON audit_log (customer_id, audit_id);
CREATE TRIGGER audit_log_immutable BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Commands of finance carry a request id: the same id answers the same, and does nothing twice.
CREATE TABLE commands (
  request_id  text COLLATE "C" PRIMARY KEY CHECK (length(request_id) <= 256),
  command     text NOT NULL,
  subject     text NOT NULL,
  actor       text NOT NULL,
  at          timestamptz NOT NULL DEFAULT now(),
  outcome     jsonb NOT NULL
);
CREATE TRIGGER commands_immutable BEFORE UPDATE OR DELETE ON commands FOR EACH ROW EXECUTE FUNCTION refuse_change();
