-- What providers charge. A version is its predecessor plus its own rows; nothing is ever changed (invariant 5).

CREATE TABLE catalog_versions (
  version      integer PRIMARY KEY CHECK (version > 0),
  note         text NOT NULL,
  source       text NOT NULL,
  published_by text NOT NULL,
  published_at timestamptz NOT NULL DEFAULT now(),
  content_hash text COLLATE "C" NOT NULL
);

-- One price of one meter of one model, for a span of the world's time. `price` null withdraws the row's slot, `same_as`
-- names the meter whose price stands in (an explicit fallback), `is_free` says that null cost is meant.
-- A slot is (provider, model_id, meter, context_over, daily window).
CREATE TABLE catalog_prices (
  price_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  version        integer NOT NULL REFERENCES catalog_versions,
  ordinal        integer NOT NULL,
  provider       text COLLATE "C" NOT NULL,
  model_id       text COLLATE "C" NOT NULL,
  meter          text COLLATE "C" NOT NULL,
  price          text COLLATE "C",
  per            bigint NOT NULL DEFAULT 1 CHECK (per > 0),
  currency       text COLLATE "C" NOT NULL CHECK (currency ~ '^[a-z]{3}$'),
  same_as        text COLLATE "C",
  is_free        boolean NOT NULL DEFAULT false,
  effective_from timestamptz NOT NULL,
  effective_to   timestamptz CHECK (effective_to > effective_from),
  context_over   bigint CHECK (context_over >= 0),
  daily_from     time,
  daily_to       time,
  supersede      boolean NOT NULL DEFAULT false,
  raw_price      text,
  UNIQUE (version, ordinal),
  CHECK (price IS NULL OR price ~ '^\d{1,15}(\.\d{1,24})?$'),
  CHECK (same_as IS NULL OR price IS NULL),
  CHECK ((daily_from IS NULL) = (daily_to IS NULL))
);
CREATE INDEX catalog_prices_model ON catalog_prices (provider, model_id, meter);

CREATE TABLE catalog_models (
  version    integer NOT NULL REFERENCES catalog_versions,
  provider   text COLLATE "C" NOT NULL,
  model_id   text COLLATE "C" NOT NULL,
  name       text,
  deprecated boolean NOT NULL DEFAULT false,
  is_free    boolean NOT NULL DEFAULT false,
  PRIMARY KEY (version, provider, model_id)
);

CREATE TABLE catalog_aliases (
  version        integer NOT NULL REFERENCES catalog_versions,
  provider       text COLLATE "C" NOT NULL,
  alias          text COLLATE "C" NOT NULL,
  model_id       text COLLATE "C" NOT NULL,
  effective_from timestamptz NOT NULL,
  effective_to   timestamptz CHECK (effective_to > effective_from),
  note           text,
  PRIMARY KEY (version, provider, alias, effective_from)
);

-- Ordered, first match wins; the rules of a newer version come before those of older ones.
CREATE TABLE catalog_match_rules (
  version  integer NOT NULL REFERENCES catalog_versions,
  ordinal  integer NOT NULL,
  provider text COLLATE "C" NOT NULL,
  clause   jsonb NOT NULL,
  model_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (version, ordinal)
);

-- Where a provider resells others' models: tried in order when its own models do not match.
CREATE TABLE catalog_fallback_providers (
  version           integer NOT NULL REFERENCES catalog_versions,
  provider          text COLLATE "C" NOT NULL,
  ordinal           integer NOT NULL,
  fallback_provider text COLLATE "C" NOT NULL,
  PRIMARY KEY (version, provider, ordinal)
);

CREATE TRIGGER catalog_versions_immutable BEFORE UPDATE OR DELETE ON catalog_versions
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER catalog_prices_immutable BEFORE UPDATE OR DELETE ON catalog_prices
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER catalog_models_immutable BEFORE UPDATE OR DELETE ON catalog_models
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER catalog_aliases_immutable BEFORE UPDATE OR DELETE ON catalog_aliases
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER catalog_match_rules_immutable BEFORE UPDATE OR DELETE ON catalog_match_rules
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER catalog_fallback_providers_immutable BEFORE UPDATE OR DELETE ON catalog_fallback_providers
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
