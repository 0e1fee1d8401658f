/**
 * Every bound of the system in one place, units last in the name, the reason beside it.
 * Relations between bounds are asserted when the module loads, so that a changed limit cannot break another silently.
 */

// ---- ids and texts -------------------------------------------------------------------------------------------------
/** Ids stand in workflow ids and Stripe metadata (values hold 500 characters); 128 leaves room for a prefix. */
export const ID_LENGTH_CHARS = 128;
/** A label such as feature, region or a dimension's value: shown on invoice lines, never a text. */
export const LABEL_LENGTH_CHARS = 128;
/** Keys of `dimensions` become group names; more than this is a document, not a label set. */
export const DIMENSIONS_COUNT = 16;
/** `features` (for example `long_context`) name price-relevant switches of one call. */
export const FEATURES_COUNT = 16;
/** Meters of one event; the widest provider body known has 9. */
export const METERS_PER_EVENT_COUNT = 32;
/** Quantities are integers a JSON number carries exactly: 2^53 - 1. Beyond it a client has lost digits already. */
export const QUANTITY_MAX_UNITS = Number.MAX_SAFE_INTEGER;
/** A note, a reason, a comment of finance. */
export const NOTE_LENGTH_CHARS = 2_000;

/** A provider's usage object: the widest known has 30 values; 512 leaves room for one entry per step of a long request. */
export const PROVIDER_USAGE_VALUES_COUNT = 512;
/** Nesting of a provider's usage object: the deepest known has 3 levels. */
export const PROVIDER_USAGE_DEPTH_LEVELS = 5;
/** A label inside a provider's usage object (`standard`, `ON_DEMAND`): longer is a text, and texts are refused. */
export const PROVIDER_USAGE_LABEL_CHARS = 64;
/** A key of a refused request may be hostile too: an error names this much of it. */
export const FIELD_NAME_CHARS = 64;

// ---- HTTP ----------------------------------------------------------------------------------------------------------
/** Events of one `POST /v1/usage`: the contract's 1 to 1,000. */
export const EVENTS_PER_REQUEST_COUNT = 1_000;
/** 1,000 events of 4 KiB: an event of real life has 0.3 to 0.8 KiB. */
export const REQUEST_BODY_BYTES = 4 * 1024 * 1024;
/** What gateways send has prompts and answers in it, which are dropped at the door: 1,000 calls of 16 KiB. Compressed
 * bodies are unpacked up to these limits too. */
export const DOOR_BODY_BYTES = 16 * 1024 * 1024;
/** Entries of one foreign payload: OpenTelemetry exporters send batches of 512, LiteLLM of 512, collectors of 8,192. */
export const DOOR_ENTRIES_COUNT = 10_000;
/** Stripe's meter event stream takes 100 events a request ... */
export const METER_EVENTS_PER_REQUEST_COUNT = 100;
/** ... by a session of 15 minutes. */
export const METER_SESSION_MINUTES = 15;
/** Nesting of a JSON body: the deepest known payload of a gateway has 14 levels. */
export const JSON_DEPTH_LEVELS = 64;
/** A catalog of 1,700 models with 4 meters each is about 2 MB of JSON. */
export const CATALOG_BODY_BYTES = 16 * 1024 * 1024;
/** Default and largest page of a list. */
export const PAGE_DEFAULT_COUNT = 50;
export const PAGE_MAX_COUNT = 500;
/** Standard Webhooks: a signed request older or newer than this is refused. */
export const SIGNATURE_TOLERANCE_SECONDS = 300;
/** A server that is told to stop finishes requests under way for this long. */
export const SHUTDOWN_GRACE_SECONDS = 10;
/** How long a process trusts an API key or a source it has read: a revoked key stops working after at most this. */
export const CREDENTIAL_CACHE_SECONDS = 5;
/** Keys and sources that a process remembers; a fleet of services has tens, the rest is a bound for memory. */
export const CREDENTIAL_CACHE_COUNT = 10_000;
/** Standard Webhooks: a signing secret has 24 to 64 bytes. */
export const SIGNING_SECRET_MIN_BYTES = 24;
export const SIGNING_SECRET_MAX_BYTES = 64;
/** A readiness check that takes longer than this counts as failed: load balancers ask every few seconds. */
export const READY_CHECK_TIMEOUT_SECONDS = 3;
/** Periods by status are counted for /metrics at most this often: scrapes must not become load. */
export const PERIOD_COUNT_CACHE_SECONDS = 15;
/** What a client is told to wait after a 503 that does not say otherwise. */
export const RETRY_AFTER_DEFAULT_SECONDS = 1;
/** A whole request must have arrived within this: a slow sender holds no connection for ever. */
export const REQUEST_RECEIVE_SECONDS = 60;
/** Path segments are ids; model names travel in the query. */
export const PATH_SEGMENT_CHARS = ID_LENGTH_CHARS;
/** Stripe's events are some KiB; an expanded invoice with 250 lines stays below 1 MiB. */
export const WEBHOOK_BODY_BYTES = 1024 * 1024;
/** Finance's commands and customers are small documents. */
export const SMALL_BODY_BYTES = 64 * 1024;
/** The longest that the command line waits for an answer: a preview of a large period takes seconds. */
export const CLI_REQUEST_TIMEOUT_SECONDS = 60;

/** `costplus usage import`: events and bytes of one request, half of what the server takes; a row is an event of 64 KiB. */
export const IMPORT_BATCH_EVENTS_COUNT = 500;
export const IMPORT_BATCH_BYTES = 1024 * 1024;
export const IMPORT_ROW_BYTES = 64 * 1024;
/** Repetitions of a request that no server answered: with doubling pauses about half a minute, a restart or a failover. */
export const IMPORT_RETRIES_COUNT = 6;

// ---- time of events ------------------------------------------------------------------------------------------------
/** Clocks of services drift; more than this in the future is a wrong clock and is refused. */
export const EVENT_FUTURE_SECONDS = 300;
/** Older usage is refused unless its period is unsealed or its source may backfill (default; configurable). */
export const EVENT_AGE_DEFAULT_DAYS = 35;

/** Events of other years are wrong clocks or wrong units: calendars, prices and timestamps are defined inside them. */
export const EVENT_YEAR_FIRST = 2000;
export const EVENT_YEAR_LAST = 2100;

// ---- ledger --------------------------------------------------------------------------------------------------------
/** Events of one append transaction: one request fits whole, and a chunk's period locks stay below PostgreSQL's default
 * lock table (64 x 100 slots) with CHUNKS_IN_FLIGHT_COUNT chunks of that many customers each. */
export const CHUNK_EVENTS_COUNT = 1_000;
/** Chunks that one process commits at a time: two keep both cores of a small machine busy; four hide the fsync. */
export const CHUNKS_IN_FLIGHT_COUNT = 4;
/** How long the first event of a chunk waits for company while a connection is free. */
export const CHUNK_GATHER_MILLISECONDS = 2;
/** Events that wait for their commit in one process, before new requests get 503 with Retry-After. */
export const APPEND_QUEUE_EVENTS_COUNT = 50_000;
/** A chunk that lost a deadlock or a serialization race is run again this often before its requests are tried alone. */
export const CHUNK_COLLISION_RETRIES_COUNT = 5;
/** A chunk whose customers changed between planning and its transaction is planned again this often. */
export const CHUNK_STALE_RETRIES_COUNT = 10;
/** Late usage of one sealed period that one seal takes in; more waits for the next one, and is listed. Some tens of bytes
 * each, in memory, and some seconds in all: a seal that decides holds its period's appends back. */
export const LATE_DECISIONS_COUNT = 500_000;
/** Sealed periods with late usage that one list shows, and one run of the automatic re-billing looks at. */
export const LATE_PERIODS_COUNT = 500;
/** Late usage gathers this long before its period is billed again by itself: one correction for a burst of stragglers. */
export const LATE_REBILL_GATHER_MINUTES = 60;
/** How often periods with late usage to bill again are looked for. */
export const LATE_REBILL_SWEEP_MINUTES = 5;
/** An open period looks for late usage that it would carry at most this often, whatever number of nudges it gets. */
export const LATE_TOTALS_SECONDS = 60;
/** How often open periods are looked for whose totals do not have late usage yet that they would carry. */
export const LATE_TOTALS_SWEEP_MINUTES = 5;
/** Late usage of a customer whose billing has ended is billed again in its own period for this long after the period's seal,
 * as long as usage may be sent after it happened by default; later it waits for a person. */
export const LATE_AFTER_END_DAYS = 35;
/** A closing period that waits for an earlier one is woken when that is composed; should this be missed, it looks itself. */
export const WAITING_RECHECK_HOURS = 6;
/** A submission whose time ran out while its run continued as new is tried for this long more. */
export const SUBMISSION_LAST_MINUTES = 10;
/** Lines that late usage takes on an invoice; a line for each period it happened in, the rest in one. */
export const LATE_LINES_COUNT = 12;
/** Chunks of waiting usage that `PUT /v1/customers` places itself, about a second of work; the relay's sweep goes on. */
export const PLACE_REQUEST_CHUNKS_COUNT = 5;
/** A period that is due while usage of its time is still being placed waits this long, and is looked at again ... */
export const PLACE_POSTPONE_MINUTES = 1;
/** ... for at most this long after its end (or the making of its row, if later): what comes later is late usage. */
export const PLACE_POSTPONE_HOURS = 24;
/** Customers whose waiting usage one sweep places; the next sweep takes the next ones. */
export const PLACE_CUSTOMERS_COUNT = 200;
/** Chunks of waiting usage that one sweep places, some seconds of work: the relay that sweeps has nudges to send. */
export const PLACE_SWEEP_CHUNKS_COUNT = 50;
/** Events read at a time when a period is priced: bounds memory, and is the interval of heartbeats. */
export const PRICING_READ_EVENTS_COUNT = 10_000;
/** Events of one slice of pricing, some seconds of work: it is committed by itself, and an attempt that ends early loses
 * no more. */
export const PRICING_SLICE_EVENTS_COUNT = 500_000;
/** Events whose actions are counted in one transaction: bounds the memory for their ids. */
export const ACTIONS_SLICE_EVENTS_COUNT = 100_000;
/** Incremental pricing runs of one period before they are folded into one. */
export const PRICING_RUNS_COMPACT_COUNT = 16;

/** Meters that one decision about held usage may price: an event has no more. */
export const HELD_PRICES_COUNT = METERS_PER_EVENT_COUNT;
/** Events that one decision may name one by one. */
export const HELD_EVENT_IDS_COUNT = 1_000;
/** Periods that one decision may touch: each gets a row and a lock, in one transaction. */
export const HELD_PERIODS_COUNT = 2_000;
/** Calls of one action that are read to answer it: an agent run of a day has some thousands. */
export const ACTION_EVENTS_COUNT = 20_000;
/** How far reported costs may be from the catalog's before it is told, as a share of the catalog's (default; configurable). */
export const REPORTED_COST_TOLERANCE_DEFAULT_FRACTION = '0.02';
/** Events below which a difference tells nothing: a gateway rounds each cost by itself. */
export const REPORTED_COST_EVENTS_COUNT = 10;
/** Periods whose reported costs are compared where nobody says otherwise: the last invoices and the open periods. */
export const REPORTED_COSTS_DEFAULT_DAYS = 92;
/** Periods whose priced usage is listed for review where nobody says otherwise: the same. */
export const USAGE_REVIEW_DEFAULT_DAYS = 92;

// ---- database ------------------------------------------------------------------------------------------------------
/** PostgreSQL ends a transaction of ours that asks nothing for this long: a process that hangs in one would hold back the
 * horizon, and with it the pricing of every period. */
export const IDLE_TRANSACTION_SECONDS = 60;

// ---- periods and customers -----------------------------------------------------------------------------------------
/** After a change of calendar, fewer days than this before the next period start are joined to that period. More than the
 * 50 hours that local dates of two zones can be apart (UTC-12 to UTC+14, and a day): start dates stay distinct. */
export const CALENDAR_CHANGE_PERIOD_DAYS = 3;
/** First instants of periods kept in memory, one for each zone, anchor and period in use. */
export const CALENDAR_CACHE_COUNT = 50_000;
/** Past periods that one PUT of a customer opens: ten years of weeks. Each becomes an invoice of its own; more is a year
 * mistyped. */
export const BACKDATED_PERIODS_COUNT = 525;
/** How often the worker opens the first period of customers whose billing starts: early in a period, whatever its length. */
export const STARTED_PERIODS_MINUTES = 5;
/** Customers kept in memory by one process with their calendars and plans, about 1 KiB each. */
export const CUSTOMER_CACHE_COUNT = 50_000;

/** Invoices that approval compares a total with, the newest ones of the customer: half a year of months. */
export const APPROVAL_HISTORY_COUNT = 6;
/** Reminders of one invoice that waits are at least this far apart: each of them stands in the run's history. */
export const APPROVAL_REMINDER_MIN_SECONDS = 60;

// ---- dry runs ------------------------------------------------------------------------------------------------------
/** Periods of one page: each is derived from its events, up to a second for 100,000 of them. */
export const DRY_RUN_PERIODS_COUNT = 50;
/** A page ends with the period that brought it to so many events read: it answers within the CLI's patience. */
export const DRY_RUN_PAGE_EVENTS_COUNT = 200_000;
/** A period with more is refused: it would keep a process busy for a minute. */
export const DRY_RUN_PERIOD_EVENTS_COUNT = 5_000_000;
/** Events that a request adds. */
export const DRY_RUN_EVENTS_COUNT = EVENTS_PER_REQUEST_COUNT;
/** The cursor of a dry run holds what the last period of its page would have left: OPEN_GRANTS_COUNT grants on two sides are
 * 11,000 characters. */
export const DRY_RUN_CURSOR_CHARS = 16_384;

// ---- relay ---------------------------------------------------------------------------------------------------------
/** How often the relay looks for unpriced usage. */
export const RELAY_INTERVAL_MILLISECONDS = 250;
/** Signals a second over all periods: a dev server completes about 94 signal-activity cycles/s on 2 cores when it does
 * nothing else; 20 leaves the machine to ingest and pricing. Configurable. */
export const RELAY_SIGNALS_DEFAULT_PER_SECOND = 20;
/** How often the relay reads the whole level again, beside the chunks that newly settled. */
export const RELAY_SCAN_SECONDS = 10;
/** An unfinished period whose deadline passed this long ago without progress is nudged: its run may be gone. */
export const RELAY_OVERDUE_SECONDS = 60;
/** ... and again this often: a submission that Stripe's outage delays for days must not fill its run with signals. */
export const RELAY_OVERDUE_REPEAT_SECONDS = 600;
/** A nudge that moved nothing is repeated after this long (a lost engine, a worker that is down). */
export const RELAY_REPEAT_SECONDS = 30;
/** A nudge that the engine did not take waits this long, and lets those of other periods go first. */
export const RELAY_RETRY_SECONDS = 5;
/** A leading relay asks the database four times a second; one that asks nothing for this long hangs, and loses the lead. */
export const RELAY_LEADER_IDLE_SECONDS = 20;

// ---- Temporal ------------------------------------------------------------------------------------------------------
/** A direct usage signal: at most this many events and bytes (they stand in history twice). */
export const SIGNAL_EVENTS_COUNT = 100;
export const SIGNAL_BYTES = 128 * 1024;
/** Direct batches that wait in one run before it refuses to grow: 64 x 128 KiB stays far below the 50 MiB of history. */
export const SIGNAL_BATCHES_PER_RUN_COUNT = 64;
/** Timeline entries that a period's view shows, the newest; audit_log and period_timeline have all. */
export const TIMELINE_PAGE_COUNT = 200;
/** Timeline entries kept in workflow memory and carried over continue-as-new; Postgres has all of them. */
export const TIMELINE_ENTRIES_COUNT = 50;

/** The longest that the SDK waits before it repeats a call by itself: what closing a connection may have to wait for. */
export const ENGINE_RETRY_INTERVAL_MILLISECONDS = 1_000;

/** Workflow tasks, activities and pollers of one worker: the settings that paid on 2 cores (docs/explanation). */
export const WORKER_WORKFLOW_TASKS_COUNT = 100;
export const WORKER_ACTIVITIES_COUNT = 50;
export const WORKER_POLLERS_COUNT = 10;
/** A cached idle workflow costs about 300 KB in the worker: 1,000 are 300 MB, and most periods are idle. */
export const WORKER_CACHED_WORKFLOWS_COUNT = 1_000;
/** Activities mostly wait for Stripe or the engine. Each holds one connection at a time and waits for no second one while
 * it does; long reads of usage take at most half of a pool's (src/database/turns.ts). */
export const WORKER_DATABASE_CONNECTIONS_COUNT = 24;
/** Jobs of a worker that hold a connection for their lock and work on another one: the relay, meter events, polling Stripe. */
export const WORKER_LOCK_JOBS_COUNT = 3;
/** The API's: four appends, long previews on half of them, short reads. */
export const API_DATABASE_CONNECTIONS_COUNT = 16;
/** How often an activity that reads a period says that it is alive; the engine gives it up after 30 s without a word. */
export const ACTIVITY_HEARTBEAT_MILLISECONDS = 5_000;
/** The longest that one query of it may search or sort without a row: 100 million events take about two minutes. */
export const ACTIVITY_SILENT_MINUTES = 10;
/** How often payload partitions are made ahead of time. */
export const PAYLOAD_PARTITION_HOURS = 24;
/** How often drafts that lost their election are looked for. */
export const DRAFT_SWEEP_MINUTES = 60;

// ---- money ---------------------------------------------------------------------------------------------------------
/** Places shown of an exact amount whose decimal expansion does not end. */
export const EXACT_DISPLAY_PLACES = 18;
/** Digits of a decimal that the API accepts, before and after the point: prices go down to 1e-12 dollars and below. */
export const DECIMAL_INTEGER_DIGITS = 15;
export const DECIMAL_FRACTION_DIGITS = 24;

// ---- plans ---------------------------------------------------------------------------------------------------------
/** Pieces that the search for unreachable rules keeps: plans of real life need a handful, this ends a contrived one. */
export const RULE_COVERAGE_PIECES_COUNT = 1_000;
/** Tiers of one price: price lists of real life have up to ten. */
export const PRICE_TIERS_COUNT = 50;
/** Allowances and discounts of one plan: each takes a line of the invoice. */
export const ALLOWANCES_COUNT = 10;
export const DISCOUNTS_COUNT = 10;
/** The longest commitment: ten years of months. */
export const COMMITMENT_PERIODS_COUNT = 120;
/** Seats that a plan includes. */
export const SEATS_INCLUDED_COUNT = 1_000_000;
/** Adjustments of one period: more of them are a price list, not exceptions; each takes a line. */
export const ADJUSTMENTS_COUNT = 20;
/** Lines of prepaid credits on one invoice: beyond as many grants that pay for it they are folded into one. */
export const CREDIT_LINES_COUNT = 20;
/** Exchange rates of one publication: a pair's rates of each working day since 1999, as the European Central Bank lists them. */
export const EXCHANGE_RATES_COUNT = 10_000;
/** Lines at fault that an import of exchange rates names. */
export const IMPORT_FAULTS_SHOWN_COUNT = 20;
/** Open grants of one customer: all of them stand in each seal. */
export const OPEN_GRANTS_COUNT = 200;
/** Lines of base fees on one invoice: beyond as many changes of plan in one period they are folded into one. */
export const BASE_FEE_LINES_COUNT = 20;

// ---- catalog -------------------------------------------------------------------------------------------------------
/** Compiled versions kept in one process: the newest, what open seals pin, one that is being re-billed. */
export const CATALOG_VERSIONS_CACHED_COUNT = 4;
/** How old the answer to "which version is the newest" may be where no money is decided. */
export const CATALOG_POLL_MILLISECONDS = 1_000;
/** Names of models whose resolution one compiled catalog remembers; clients choose the names, so there is a bound. */
export const CATALOG_RESOLUTIONS_CACHED_COUNT = 10_000;
/** Instants of price rows whose milliseconds one process remembers: a catalog of 24,000 rows has a few dozen. */
export const INSTANTS_CACHED_COUNT = 1_000;
/** Steps of `same_as` that lead to a price: as many as there are meters of one model would be absurd. */
export const PRICE_FALLBACK_STEPS_COUNT = 8;
/** Repeats without a fixed count in one match rule's pattern: two over names of 200 characters stay below a million steps. */
export const MATCH_PATTERN_REPEATS_COUNT = 2;
/** An import's price that moves by more than this is looked at by a person: providers halve prices, seldom more. */
export const PRICE_MOVE_SUSPICIOUS_FACTOR = 3;
/** A move within this of 1,000 or 1,000,000 looks like another unit: a wrong unit can come with a real change. */
export const PRICE_UNIT_TOLERANCE_FACTOR = 2;
/** Dollars a token beyond which a price looks like another unit: from $0.0001 to $2,000 a million tokens. */
export const PRICE_TOKEN_MIN_DOLLARS = '0.0000000001';
export const PRICE_TOKEN_MAX_DOLLARS = '0.002';
/** Prices left out of an import that its proposal shows; it counts all of them. */
export const PRICE_SKIPPED_SHOWN_COUNT = 1_000;
/** A price source's document: LiteLLM's, the largest, has about 2 MB; it must fit into the body of a request too. */
export const PRICE_DOCUMENT_BYTES = 16 * 1024 * 1024;
/** How long the host of a price source may take for the whole document. */
export const PRICE_FETCH_SECONDS = 60;
/** How often price sources are looked at: providers announce changes days ahead. Configurable. */
export const PRICE_IMPORT_DEFAULT_HOURS = 24;

// ---- Stripe --------------------------------------------------------------------------------------------------------
/** Stripe allows 250 invoice items on one invoice; beyond it lines are folded. */
export const INVOICE_LINES_COUNT = 250;
/** Stripe: a line's description holds 500 characters. */
export const LINE_DESCRIPTION_CHARS = 500;
/** Stripe: the name of a product that is made for a line. */
export const STRIPE_PRODUCT_NAME_CHARS = 250;
/** Lines of one addLines call. */
export const STRIPE_ADD_LINES_COUNT = 100;
/** One HTTP call to Stripe; below the activity's start-to-close timeout. */
export const STRIPE_REQUEST_TIMEOUT_MILLISECONDS = 20_000;
/** Failed generations (drafts that did not match) before the period is parked. */
export const STRIPE_GENERATIONS_COUNT = 3;
/** Calls a second and account over all workers: live allows 100, a sandbox 25. Configurable. */
export const STRIPE_RATE_DEFAULT_PER_SECOND = 20;
/** Tokens an idle account has at most: with the default rate the busiest second stays at a sandbox's 25. */
export const STRIPE_BURST_COUNT = 5;
/** Answers 429 to one call before it is given up for this attempt. */
export const STRIPE_RATE_LIMITED_COUNT = 5;
/** Readings of one invoice for a webhook while others write its row; more than a few means a storm of deliveries. */
export const STRIPE_REFRESH_TRIES_COUNT = 5;
/** An earlier invoice that changes while it is being voided is read again this often; then a person looks. */
export const STRIPE_SETTLE_TRIES_COUNT = 5;
/** A credit note's key is used until no request under it can still be on its way: far beyond a request's deadline. */
export const CREDIT_NOTE_KEY_MINUTES = 15;
/** Lines of one credit note: Stripe takes them in the URL of its preview, at about 120 bytes each. */
export const CREDIT_NOTE_LINES_COUNT = 40;
/** Previews that look for the amounts of lines which come to a net amount with the tax that they contain. */
export const CREDIT_NOTE_FIT_TRIES_COUNT = 4;
/** Lines of a period on a subscription's invoice: of Stripe's 250 items, 50 are left to the subscription's own prices (at
 * most 20), its prorations, and corrections of earlier periods. */
export const SUBSCRIPTION_LINES_COUNT = 200;
/** Keys of one generation of subscription lines: used in the first half of this time, dead at its end, when no request
 * under them can still be on its way. */
export const SUBSCRIPTION_KEY_MINUTES = 15;
/** A subscription's draft takes lines only while it stays a draft for longer than a generation's keys are used. */
export const SUBSCRIPTION_DRAFT_MINUTES = 15;
/** Periods that one sweep looks at for left-over lines: about two calls each. */
export const SUBSCRIPTION_SWEEP_COUNT = 100;
/** Clock skew allowed when Stripe is listed for invoices made since its period began. */
export const STRIPE_CLOCK_SKEW_SECONDS = 300;
/** Submissions that one sweep for left-over drafts looks at: about one call each. */
export const STRIPE_SWEEP_COUNT = 100;
/** Submissions in a row that a sweep fails at before it takes Stripe for away. */
export const STRIPE_SWEEP_FAILURES_COUNT = 3;
/** How often invoices that can still change are read again at Stripe, where no webhook told of them. */
export const STRIPE_POLL_MINUTES = 5;
/** ... each of them this long after it was last read: webhooks are quicker where they come, and are retried for days. */
export const STRIPE_POLL_AGE_MINUTES = 360;
/** Invoices that one run reads, at most so many a second: a quarter of the default rate, so that submissions go first. */
export const STRIPE_POLL_COUNT = 500;
export const STRIPE_POLL_PER_SECOND = 5;
/** Stripe repeats deliveries for days, and by hand for 30 days; then nothing asks for them any more. */
export const WEBHOOK_EVENT_DAYS = 60;
/** Deliveries that one run forgets: one short transaction. */
export const WEBHOOK_PRUNE_COUNT = 10_000;
/** Standing alerts about Stripe that one list shows, the newest. */
export const STRIPE_ALERTS_COUNT = 500;
/** Stripe: what a footer, a memo and custom fields of an invoice hold. The footer leaves room for exchange
 * rates and the link to details. */
export const INVOICE_FOOTER_CHARS = 4_000;
export const INVOICE_MEMO_CHARS = 1_500;
export const INVOICE_CUSTOM_FIELDS_COUNT = 4;
export const INVOICE_CUSTOM_FIELD_NAME_CHARS = 40;
export const INVOICE_CUSTOM_FIELD_VALUE_CHARS = 140;
/** How often usage goes to Stripe as meter events while a period runs; a new event for each series that changed. */
export const METER_FLUSH_MINUTES = 60;
/** Periods of one run, and how often a run looks for those that are due. */
export const METER_FLUSH_PERIODS_COUNT = 1_000;
export const METER_SWEEP_MINUTES = 5;
/** Stripe takes meter events of the past 35 days; one less, for the way there. */
export const METER_EVENT_AGE_DAYS = 34;
/** Stripe knows an identifier for at least 24 hours: only so long is it safe to send it again. */
export const METER_EVENT_RETRY_HOURS = 23;
/** Stripe takes a meter event back within 24 hours of receiving it; one less, for the way there. */
export const METER_CANCEL_HOURS = 23;
/** Stripe adds meter events up some time after it took them: a count that differs counts only so long after the last. */
export const METER_COUNT_SETTLE_MINUTES = 60;
/** Stripe: digits of a value, characters of a meter's event name. */
export const METER_EVENT_DIGITS_COUNT = 15;
export const METER_EVENT_NAME_CHARS = 100;
/** Dimensions that a plan sends along. */
export const METER_EVENT_DIMENSIONS_COUNT = 5;
/** Stripe may prune an idempotency key once it is this old. */
export const STRIPE_IDEMPOTENCY_HOURS = 24;

// ---- one-command stack ---------------------------------------------------------------------------------------------
/** A part that ended by itself is started again after this long, doubled each time up to the second figure. */
export const RESTART_FIRST_MILLISECONDS = 250;
export const RESTART_LAST_MILLISECONDS = 10_000;
/** A part that ran this long before it ended starts with the first figure again. */
export const RESTART_FORGET_MILLISECONDS = 30_000;
/** How long a part may take until it answers: the slowest, a worker that bundles workflows on a busy machine. */
export const PART_READY_MILLISECONDS = 120_000;
/** How long a part may take to stop before it is killed: an activity under way needs up to SHUTDOWN_GRACE_SECONDS. */
export const PART_STOP_MILLISECONDS = 20_000;
/** A part's log is set aside as `.1` when it is larger than this at a start. */
export const PART_LOG_BYTES = 64 * 1024 * 1024;
/** The download of the Temporal CLI is given up for the next source when its host does not answer in this time. */
export const DOWNLOAD_ANSWER_MILLISECONDS = 5_000;
/** About 45 MB over a slow line. */
export const DOWNLOAD_MILLISECONDS = 300_000;
/** Closed runs of the dev server stay readable this long; its own default is one day. */
export const DEV_RETENTION_DAYS = 90;

// ---- client (what services install) --------------------------------------------------------------------------------
/** How long events gather before they are sent: usage is at most this much late, a busy service sends one request. */
export const CLIENT_WINDOW_MILLISECONDS = 1_000;
/** Bytes of one request: a quarter of what the server takes, so that an attempt over a slow line ends in time. */
export const CLIENT_BATCH_BYTES = 1024 * 1024;
/** Events that wait in memory without a spool (or while its disk refuses): some minutes of a busy service's calls. */
export const CLIENT_QUEUE_EVENTS_COUNT = 10_000;
/** ... and their bytes: a reporter must never be what a service dies of. */
export const CLIENT_QUEUE_BYTES = 16 * 1024 * 1024;
/** All segments of one reporter's spool: days of an outage at 500 bytes an event and 20 events/s. */
export const CLIENT_SPOOL_BYTES = 1024 * 1024 * 1024;
/** One request to the server, connection to last byte. */
export const CLIENT_REQUEST_TIMEOUT_MILLISECONDS = 15_000;
/** Full jitter: the pause after the n-th failure is random between 0 and the smaller of first x 2^n and the last. */
export const CLIENT_BACKOFF_FIRST_MILLISECONDS = 250;
export const CLIENT_BACKOFF_LAST_MILLISECONDS = 30_000;
/** A Retry-After is honoured up to this: beyond it a wrong header would stop a service's usage for good. */
export const CLIENT_RETRY_AFTER_MAX_SECONDS = 3_600;
/** How long `close()` goes on sending unless it is told otherwise: below what orchestrators wait before they kill. */
export const CLIENT_CLOSE_MILLISECONDS = 10_000;
/** A spool's owner shows that it lives this often ... */
export const CLIENT_SPOOL_HEARTBEAT_MILLISECONDS = 5_000;
/** ... and one that has not for this long has died: others send what it left. */
export const CLIENT_SPOOL_LEASE_MILLISECONDS = 30_000;
/** How often results of a signalled batch are asked for. */
export const CLIENT_RESULTS_POLL_MILLISECONDS = 250;

// ---- relations -----------------------------------------------------------------------------------------------------
const relations: [boolean, string][] = [
  [PRICE_DOCUMENT_BYTES <= CATALOG_BODY_BYTES, 'a document that is fetched can also be sent'],
  [EVENTS_PER_REQUEST_COUNT <= CHUNK_EVENTS_COUNT, 'one request must fit into one chunk'],
  [CHUNK_EVENTS_COUNT * CHUNKS_IN_FLIGHT_COUNT <= 6_400, 'period locks must fit into the default lock table'],
  [
    Math.floor(WORKER_DATABASE_CONNECTIONS_COUNT / 2) + 2 * WORKER_LOCK_JOBS_COUNT + CHUNKS_IN_FLIGHT_COUNT <
      WORKER_DATABASE_CONNECTIONS_COUNT,
    'long reads, jobs and appends of a worker leave connections to short activities',
  ],
  [
    Math.floor(API_DATABASE_CONNECTIONS_COUNT / 2) + CHUNKS_IN_FLIGHT_COUNT < API_DATABASE_CONNECTIONS_COUNT,
    'long reads and appends of the API leave connections to short requests',
  ],
  [PRICING_READ_EVENTS_COUNT <= PRICING_SLICE_EVENTS_COUNT, 'a slice is read in whole steps'],
  [SIGNAL_EVENTS_COUNT <= EVENTS_PER_REQUEST_COUNT, 'a signalled batch must fit into one append'],
  [SIGNAL_BATCHES_PER_RUN_COUNT * SIGNAL_BYTES * 2 < 50 * 1024 * 1024, 'direct batches must fit into history'],
  [PAGE_DEFAULT_COUNT <= PAGE_MAX_COUNT, 'the default page must be allowed'],
  [
    // Two for fees in advance; charge and credits of allowances, seats, minimum, maximum, two commitments.
    BASE_FEE_LINES_COUNT +
      DISCOUNTS_COUNT +
      ALLOWANCES_COUNT +
      LATE_LINES_COUNT +
      ADJUSTMENTS_COUNT +
      CREDIT_LINES_COUNT +
      9 <
      SUBSCRIPTION_LINES_COUNT,
    'fees, discounts, allowances, adjustments and credits leave room for usage lines',
  ],
  [STRIPE_ADD_LINES_COUNT <= INVOICE_LINES_COUNT, 'a chunk of lines must fit into an invoice'],
  [SUBSCRIPTION_LINES_COUNT < INVOICE_LINES_COUNT, "a subscription's own items need room beside ours"],
  [SUBSCRIPTION_KEY_MINUTES <= SUBSCRIPTION_DRAFT_MINUTES, 'a draft must outlive the keys that add to it'],
  [CLIENT_BATCH_BYTES <= REQUEST_BODY_BYTES, 'a batch of a client must be a request that the server takes'],
  [CLIENT_SPOOL_HEARTBEAT_MILLISECONDS * 3 <= CLIENT_SPOOL_LEASE_MILLISECONDS, 'a living owner must keep its lease'],
  [PART_STOP_MILLISECONDS > SHUTDOWN_GRACE_SECONDS * 1_000, 'a part must have its grace before it is killed'],
];
for (const [holds, rule] of relations) {
  if (!holds) throw new Error(`limits.ts: ${rule}`);
}
