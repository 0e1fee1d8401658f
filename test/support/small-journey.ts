import { expect } from 'vitest';
import { canonicalJson, sha256 } from '../../src/contracts/canonical-json.js';
import type { CommandAnswer } from '../../src/contracts/engine.js';
import type { InvoiceContent, InvoiceView } from '../../src/contracts/invoice.js';
import type { PeriodView } from '../../src/contracts/period.js';
import { lockKey } from '../../src/database/locks.js';
import { STAND_IN_SECRET_KEY } from '../../src/dev/stripe-stand-in.js';
import { sweepDrafts } from '../../src/invoicing/sweep-drafts.js';
import { StripeClient } from '../../src/stripe/client.js';
import { type TestStack, untilAnswered, waitFor } from './stack.js';

const DAY_MS = 86_400_000;
const PLAN_ID = 'small';
const EVENTS_COUNT = 120;
const BATCH_EVENTS = 10;
const MODELS = ['coarse', 'fine', 'odd'];
const FEATURES = ['chat', 'report'];

/** Lets go of what a test holds. */
export type Release = () => Promise<void>;

/** A day of the month such that the period under way began days ago and does not end within the test. */
export function safeAnchorDay(nowMs: number): number {
  return Math.min(28, new Date(nowMs - 10 * DAY_MS).getUTCDate());
}

/**
 * One billing period, billed for one customer after another: the same events at the same times, so that every invoice
 * has to have the bytes of the first one, which was billed undisturbed, but for the customer's name.
 */
export class SmallJourney {
  readonly #stack: TestStack;
  readonly #atMs: number;
  readonly #anchorDay: number;
  startDate = '';
  #expected: InvoiceContent | null = null;

  private constructor(stack: TestStack) {
    this.#stack = stack;
    const now = Date.now();
    this.#atMs = Math.floor(now / 3_600_000) * 3_600_000 - 2 * DAY_MS;
    this.#anchorDay = safeAnchorDay(now);
  }

  /** Publishes catalog and plan and bills the reference. */
  static async prepare(stack: TestStack): Promise<SmallJourney> {
    const journey = new SmallJourney(stack);
    const price = { provider: 'smith', currency: 'usd', effective_from: '2020-01-01T00:00:00Z' };
    await stack.post('/v1/catalog/versions', {
      note: 'prices of the small journey',
      prices: [
        { ...price, model_id: 'coarse', meter: 'input_tokens', price: '0.50' },
        { ...price, model_id: 'fine', meter: 'input_tokens', price: '3.21', per: 1_000_000 },
        { ...price, model_id: 'odd', meter: 'input_tokens', price: '0.0123456789', per: 7 },
        { ...price, model_id: 'odd', meter: 'output_tokens', price: '1.1', per: 3 },
      ],
    });
    await stack.post('/v1/plans', {
      plan_id: PLAN_ID,
      currency: 'usd',
      rules: [{ match: { model_id: 'fine' }, markup: '0.30' }, { margin: '0.30' }],
      base_fee: '10.00',
      allowance: { charge: '7.77' },
      lines: { group_by: ['model_id', 'feature'] },
      aggregation_window: 'PT1S',
    });
    await journey.make('reference');
    await journey.deliver('reference');
    await journey.close('reference');
    const { view } = await journey.billed('reference');
    journey.#expected = contentOf(view);
    expect(journey.#expected.lines).toHaveLength(MODELS.length * FEATURES.length + 2);
    expect(journey.#expected.events).toBe(EVENTS_COUNT);
    return journey;
  }

  async make(customer: string): Promise<void> {
    await untilAnswered(() =>
      this.#stack.put(`/v1/customers/${customer}`, {
        currency: 'usd',
        plan_id: PLAN_ID,
        anchor_day: this.#anchorDay,
      }),
    );
    if (this.startDate !== '') return;
    const at = new Date(this.#atMs).toISOString();
    const { data } = await this.#stack.get<{ data: PeriodView[] }>(`/v1/periods?customer_id=${customer}`);
    this.startDate = data.find(({ period }) => period.start <= at && at < period.end)!.start_date;
  }

  path(customer: string): string {
    return `/v1/periods/${customer}/${this.startDate}`;
  }

  events(customer: string): Record<string, unknown>[] {
    return Array.from({ length: EVENTS_COUNT }, (_, index) => {
      const model = MODELS[index % MODELS.length]!;
      return {
        event_id: `event-${index}`,
        customer_id: customer,
        provider: 'smith',
        model_id: model,
        occurred_at: new Date(this.#atMs + index * 1_000).toISOString(),
        feature: FEATURES[index % FEATURES.length],
        usage: {
          input_tokens: ((index * 7_919) % 997) + 1,
          ...(model === 'odd' ? { output_tokens: index } : {}),
        },
      };
    });
  }

  /**
   * Sends the customer's events in small batches, several at once. A batch without an answer goes out again, as it does
   * from any client; every event has to be acknowledged in the end. `onAnswer` hears how many batches are answered.
   */
  async deliver(customer: string, onAnswer: (batches: number) => void = () => undefined): Promise<void> {
    const events = this.events(customer);
    const batches = Array.from({ length: EVENTS_COUNT / BATCH_EVENTS }, (_, i) =>
      events.slice(i * BATCH_EVENTS, (i + 1) * BATCH_EVENTS),
    );
    let answered = 0;
    const sender = async () => {
      for (let batch = batches.shift(); batch; batch = batches.shift()) {
        const sent = batch;
        const results = await untilAnswered(() => this.#stack.sendUsage(sent));
        // A batch whose first answer was lost finds its events there.
        expect(results.filter(({ status }) => status !== 'accepted' && status !== 'duplicate')).toEqual([]);
        answered++;
        onAnswer(answered);
      }
    };
    await Promise.all([sender(), sender()]);
  }

  async priced(customer: string): Promise<void> {
    await waitFor(`all usage of ${customer} is priced`, async (note) => {
      const view = await this.#stack.get<PeriodView>(this.path(customer));
      note(`${view.totals?.events ?? 0} of ${EVENTS_COUNT} events`);
      return view.totals?.events === EVENTS_COUNT || null;
    });
  }

  /** Closes the period; the command is sent again under the same request id until it is answered. */
  close(customer: string): Promise<CommandAnswer> {
    return untilAnswered(() =>
      this.#stack.post<CommandAnswer>(`${this.path(customer)}/close`, { request_id: `close-${customer}` }),
    );
  }

  /** Delivers all usage and waits until it is priced. */
  async fill(...customers: string[]): Promise<void> {
    await Promise.all(
      customers.map(async (customer) => {
        await this.make(customer);
        await this.deliver(customer);
        await this.priced(customer);
      }),
    );
  }

  /** Waits until the period is invoiced, and compares the invoice, the ledger and the stand-in with the reference. */
  async billed(customer: string, seconds = 120): Promise<{ view: InvoiceView }> {
    await waitFor(
      `${customer} is invoiced`,
      async (note) => {
        const { status, status_reason } = await this.#stack.get<PeriodView>(this.path(customer));
        note(`${status} (${status_reason})`);
        if (status === 'parked') throw new Error(`${customer} is parked: ${status_reason}`);
        return status === 'invoiced' || null;
      },
      seconds,
    );
    const view = await untilAnswered(() => this.#stack.get<InvoiceView>(`${this.path(customer)}/invoices/1`));
    const content = contentOf(view);
    if (this.#expected) expect(content).toEqual({ ...this.#expected, customer_id: customer });
    // The hash is over the bytes: equal content with another spelling would have another one.
    expect(view.content_hash).toBe(sha256(canonicalJson(content)).toString('hex'));
    expect(view.total).toBe(content.total);

    const atStripe = await untilAnswered(() => this.#stack.standInInvoices(customer, this.startDate));
    const issued = atStripe.filter(({ status }) => status !== 'draft');
    expect(issued.map(({ id }) => id)).toEqual([view.stripe_invoice_id]);
    expect(issued[0]).toMatchObject({
      status: 'open',
      subtotal: cents(view.total),
      metadata: { costplus_invoice: `${customer}/${this.startDate}/1`, costplus_hash: view.content_hash },
    });
    expect(issued[0]!.lines.map(({ amount, description }) => [amount, description])).toEqual(
      view.lines.map(({ amount, description }) => [cents(amount), description]),
    );
    const { rows } = await this.#stack.pool.query<{ events: number; late: number }>(
      'SELECT count(*) AS events, count(*) FILTER (WHERE late) AS late FROM usage_events WHERE customer_id = $1',
      [customer],
    );
    expect(rows[0]).toEqual({ events: EVENTS_COUNT, late: 0 });
    return { view };
  }

  /** Runs the sweeper; afterwards no draft of ours may be left at the stand-in. */
  async sweepAll(): Promise<void> {
    const stripe = new StripeClient({
      secretKey: STAND_IN_SECRET_KEY,
      apiBase: this.#stack.info.stripe_api_base,
      pool: this.#stack.pool,
      callsPerSecond: 100,
    });
    const { strangers } = await sweepDrafts({ pool: this.#stack.pool, stripe, heartbeat: () => undefined });
    expect(strangers).toEqual([]);
    const { invoices } = await this.#stack.standInState();
    expect(invoices.filter(({ status }) => status === 'draft')).toEqual([]);
  }

  // ---- points at which a test stops the way of a period ------------------------------------------------------------

  /** Keeps pricing of the period from writing what it found. `reached` resolves when it waits. */
  holdPricing(customer: string): Promise<Hold> {
    return this.#holdLock(customer, 'pricing');
  }

  /** Keeps the period from being sealed (appends pass). `reached` resolves when the seal waits. */
  holdSeal(customer: string): Promise<Hold> {
    return this.#holdLock(customer, 'period');
  }

  async #holdLock(customer: string, namespace: 'pricing' | 'period'): Promise<Hold> {
    const { rows } = await this.#stack.pool.query<{ period_id: number }>(
      'SELECT period_id FROM periods WHERE customer_id = $1 AND start_date = $2',
      [customer, this.startDate],
    );
    const key = lockKey(namespace, rows[0]!.period_id);
    const client = await this.#stack.pool.connect();
    await client.query('SELECT pg_advisory_lock_shared($1::bigint)', [key]);
    return {
      reached: () =>
        waitFor(`${customer} waits for the lock of ${namespace}`, async () => {
          const { rowCount } = await this.#stack.pool.query(
            `SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
               AND (classid::bigint << 32) + objid::bigint = $1::bigint`,
            [key],
          );
          return (rowCount ?? 0) > 0 || null;
        }),
      // The connection goes, and the lock with it; it may be gone already.
      release: async () => client.release(true),
    };
  }

  /** Closes the period and waits until its submission has met the fault that is ordered for this step. */
  async closeInto(
    customer: string,
    step: 'create' | 'add_lines' | 'finalize',
    kind: 'delay' | 'timeout_after' | 'slow',
    delayMs = 0,
  ): Promise<void> {
    const path = step === 'create' ? '^/v1/invoices$' : `/${step}$`;
    // A line and a finalization do not name the customer: only one such order is open at a time.
    const params = step === 'create' ? `${customer}%2F` : '';
    const met = async () => {
      const requests = await this.#stack.standInRequests();
      return requests.filter((request) => request.fault === kind && new RegExp(path).test(request.path)).length;
    };
    const before = await met();
    await this.#stack.fault({ match: { method: 'POST', path, params }, kind, delay_ms: delayMs });
    await this.close(customer);
    await waitFor(`${customer} has met ${kind} at ${step}`, async () => (await met()) > before || null);
  }
}

export interface Hold {
  reached: () => Promise<unknown>;
  release: Release;
}

/** What was composed: the bytes under the hash, without what is known of it since. */
function contentOf(view: InvoiceView): InvoiceContent {
  const {
    status: _status,
    payment_status: _payment,
    content_hash: _hash,
    stripe_invoice_id: _id,
    stripe_status: _stripe,
    stripe_number: _number,
    hosted_invoice_url: _url,
    stripe_total: _stripeTotal,
    stripe_to_balance: _stripeBalance,
    subscription: _subscription,
    ...content
  } = view;
  return content;
}

function cents(amount: string): number {
  return Number(amount.replace('.', ''));
}
