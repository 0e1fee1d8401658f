-- Who is charged, how, and for which spans of time.

CREATE TABLE plan_versions (
  plan_id      text COLLATE "C" NOT NULL CHECK (plan_id ~ '^[A-Za-z0-9._:-]{1,128}$'),
  version      integer NOT NULL CHECK (version > 0),
  body         jsonb NOT NULL,
  content_hash text COLLATE "C" NOT NULL,
  published_by text NOT NULL,
  published_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (plan_id, version)
);
CREATE TRIGGER plan_versions_immutable BEFORE UPDATE OR DELETE ON plan_versions
  FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE customers (
  customer_id        text COLLATE "C" PRIMARY KEY CHECK (customer_id ~ '^[A-Za-z0-9._:-]{1,128}$'),
  name               text,
  currency           text COLLATE "C" NOT NULL CHECK (currency ~ '^[a-z]{3}$'),
  stripe_customer_id text COLLATE "C",
  budgets            jsonb NOT NULL DEFAULT '[]',
  starts_at          timestamptz,
  ends_at            timestamptz,
  -- Grows with every change of calendar, plan or bounds; caches compare it in the transaction that matters.
  revision           bigint NOT NULL DEFAULT 1,
  created_at         timestamptz NOT NULL DEFAULT now(),
  updated_at         timestamptz NOT NULL DEFAULT now(),
  CHECK (ends_at > starts_at)
);

-- The calendar in force from an instant on; the first row of a customer starts at -infinity.
CREATE TABLE customer_calendars (
  customer_id    text COLLATE "C" NOT NULL REFERENCES customers,
  effective_from timestamptz NOT NULL,
  time_zone      text NOT NULL,
  anchor_day     integer NOT NULL CHECK (anchor_day BETWEEN 1 AND 31),
  set_at         timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (customer_id, effective_from)
);

-- The plan version in force from an instant on. Two assignments of one instant: the later one (`assignment_id`) holds.
CREATE TABLE plan_assignments (
  assignment_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer_id    text COLLATE "C" NOT NULL REFERENCES customers,
  effective_from timestamptz NOT NULL,
  plan_id        text COLLATE "C" NOT NULL,
  plan_version   integer NOT NULL,
  assigned_by    text NOT NULL,
  assigned_at    timestamptz NOT NULL DEFAULT now(),
  FOREIGN KEY (plan_id, plan_version) REFERENCES plan_versions
);
CREATE INDEX plan_assignments_customer ON plan_assignments (customer_id, effective_from);
CREATE TRIGGER plan_assignments_immutable BEFORE UPDATE OR DELETE ON plan_assignments
  FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE periods (
  period_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer_id      text COLLATE "C" NOT NULL REFERENCES customers,
  start_date       date NOT NULL,
  starts_at        timestamptz NOT NULL,
  ends_at          timestamptz NOT NULL,
  -- The calendar's whole span; it differs from [starts_at, ends_at) where billing starts or ends inside it (proration).
  calendar_from    timestamptz NOT NULL,
  calendar_to      timestamptz NOT NULL,
  -- When usage stops being taken: end (or the making of this row, if later) plus the plan's grace.
  seals_at         timestamptz NOT NULL,
  status           text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'closing', 'sealed', 'awaiting_approval',
                     'on_hold', 'submitting', 'invoiced', 'nothing_to_bill', 'parked')),
  status_reason    text,
  -- Grows with each change of status: readers that overlap with a change can tell which answer is the newer one.
  status_version   integer NOT NULL DEFAULT 0,
  -- What an `on_hold` or `parked` period goes on with when it is released.
  resume_status    text,
  payment_status   text,
  -- Set by the seal and never again: usage that arrives from then on is late, whatever the status says meanwhile
  -- (an open period can be on hold and still take usage).
  sealed_at        timestamptz,
  -- When a workflow first took the period up; null: the relay starts one.
  opened_at        timestamptz,
  created_at       timestamptz NOT NULL DEFAULT now(),
  updated_at       timestamptz NOT NULL DEFAULT now(),
  UNIQUE (customer_id, start_date),
  CHECK (ends_at > starts_at),
  CHECK (calendar_from <= starts_at AND calendar_to >= ends_at),
  -- No instant is billed in two periods.
  EXCLUDE USING gist (customer_id WITH =, tstzrange(starts_at, ends_at) WITH &&)
);
CREATE FUNCTION count_status_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.status_version := OLD.status_version + 1;
  RETURN NEW;
END $$;
CREATE TRIGGER periods_status_version BEFORE UPDATE OF status ON periods
  FOR EACH ROW WHEN (NEW.status IS DISTINCT FROM OLD.status) EXECUTE FUNCTION count_status_change();
CREATE INDEX periods_status ON periods (status, period_id);
CREATE INDEX periods_unopened ON periods (period_id) WHERE opened_at IS NULL;
CREATE INDEX periods_unfinished ON periods (seals_at) WHERE status NOT IN ('invoiced', 'nothing_to_bill');

CREATE TABLE period_timeline (
  period_id bigint NOT NULL REFERENCES periods,
  entry_id  bigint GENERATED ALWAYS AS IDENTITY,
  at        timestamptz NOT NULL DEFAULT now(),
  kind      text NOT NULL,
  detail    jsonb NOT NULL DEFAULT '{}',
  PRIMARY KEY (period_id, entry_id)
);
CREATE TRIGGER period_timeline_immutable BEFORE UPDATE OR DELETE ON period_timeline
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
