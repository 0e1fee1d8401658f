-- What an import of prices would publish, until a person or the policy decides.

CREATE TABLE catalog_proposals (
  proposal_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source          text COLLATE "C" NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT now(),
  created_by      text NOT NULL,
  -- SHA-256 of the source's document in RFC 8785 form: the same document is not proposed twice in a row.
  document_hash   text COLLATE "C" NOT NULL,
  -- The version that the diff compares with.
  catalog_version integer NOT NULL,
  effective_from  timestamptz NOT NULL,
  withdraw_removed boolean NOT NULL,
  -- What the document says, normalised: a stale proposal is compared again without the document, and other sources with it.
  candidates      jsonb NOT NULL,
  diff            jsonb NOT NULL,
  body            jsonb NOT NULL,
  status          text NOT NULL DEFAULT 'proposed' CHECK (status IN ('proposed', 'published', 'rejected', 'superseded')),
  published_version integer REFERENCES catalog_versions,
  decided_by      text,
  decided_at      timestamptz,
  reason          text,
  CHECK ((status = 'proposed') = (decided_at IS NULL)),
  CHECK ((status = 'published') = (published_version IS NOT NULL))
);
CREATE INDEX catalog_proposals_source ON catalog_proposals (source, proposal_id);

-- What was proposed never changes; it is decided once.
CREATE FUNCTION refuse_proposal_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.status = 'proposed' AND NEW.status <> 'proposed'
     AND (OLD.proposal_id, OLD.source, OLD.created_at, OLD.created_by, OLD.document_hash, OLD.catalog_version,
          OLD.effective_from, OLD.withdraw_removed, OLD.candidates, OLD.diff, OLD.body)
       = (NEW.proposal_id, NEW.source, NEW.created_at, NEW.created_by, NEW.document_hash, NEW.catalog_version,
          NEW.effective_from, NEW.withdraw_removed, NEW.candidates, NEW.diff, NEW.body)
  THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'catalog_proposals rows are decided once' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER catalog_proposals_immutable BEFORE UPDATE OR DELETE ON catalog_proposals
  FOR EACH ROW EXECUTE FUNCTION refuse_proposal_change();
CREATE TRIGGER catalog_proposals_no_truncate BEFORE TRUNCATE ON catalog_proposals
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
