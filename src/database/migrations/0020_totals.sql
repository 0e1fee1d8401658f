-- What a period comes to so far: distinct actions, late usage that it would carry, amounts without an exchange rate.

-- Distinct actions that pricing has counted of a period, where a rule of its plans counts them: how far, and how many for
-- each rule. `inputs_hash`: the pricing inputs that said what counts; at other ones it is counted anew.
CREATE TABLE action_counts (
  period_id   bigint PRIMARY KEY REFERENCES periods,
  inputs_hash text COLLATE "C" NOT NULL,
  -- Events with chunk < counted_to are counted.
  counted_to  xid8 NOT NULL,
  -- {"<plan> <version> rule <index>": actions}
  actions     jsonb NOT NULL CHECK (jsonb_typeof(actions) = 'object')
);

-- The actions behind those numbers, one row for each action and rule: what is in it already is not counted again. Removed
-- when the period's invoice is composed, whose seal counts by itself.
CREATE TABLE counted_actions (
  period_id bigint NOT NULL REFERENCES periods,
  counter   text COLLATE "C" NOT NULL,
  action_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (period_id, counter, action_id)
);
CREATE FUNCTION refuse_counted_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a counted action does not change' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER counted_actions_unchanged BEFORE UPDATE ON counted_actions
  FOR EACH ROW EXECUTE FUNCTION refuse_counted_change();

-- Late usage of earlier periods that the period would carry if it were sealed now; of a sealed one, what it carries.
CREATE TABLE period_late_totals (
  period_id       bigint PRIMARY KEY REFERENCES periods,
  -- Names what was looked at: while it is the same, nothing has to be priced again.
  mark            text NOT NULL,
  events          bigint NOT NULL CHECK (events >= 0),
  -- Exact decimal string, in `currency`; negative where a price by total falls.
  charge          text NOT NULL,
  currency        text COLLATE "C" NOT NULL,
  catalog_version integer NOT NULL REFERENCES catalog_versions,
  at              timestamptz NOT NULL DEFAULT now()
);

-- `without_rate`: [{"currency", "cost", "charge"}], exact decimal strings that are in neither cost nor charge. `rates` and
-- `actions`: what the totals were computed with; `actions` null: not counted yet.
ALTER TABLE period_totals ADD COLUMN without_rate jsonb NOT NULL DEFAULT '[]';
ALTER TABLE period_totals ADD COLUMN rates jsonb NOT NULL DEFAULT '{}';
ALTER TABLE period_totals ADD COLUMN actions jsonb;

-- Totals that were left in a catalog's currency: the customer's has nothing yet.
UPDATE period_totals t SET
  without_rate = jsonb_build_array(jsonb_build_object('currency', t.currency, 'cost', t.cost, 'charge', t.charge)),
  cost = '0', charge = '0', currency = c.currency
FROM periods p JOIN customers c USING (customer_id)
WHERE p.period_id = t.period_id AND t.currency <> c.currency;
