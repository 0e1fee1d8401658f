import { CostplusError } from '../errors/error.js';
import { STRIPE_GENERATIONS_COUNT, SUBSCRIPTION_KEY_MINUTES } from '../limits.js';
import { stepKey } from '../stripe/idempotency-key.js';
import { isRefused } from '../stripe/stripe-errors.js';
import { type InvoiceToSubmit, overtaken, type RevisionRef, readInvoiceToSubmit } from './submission-store.js';
import { call, type SubmitDeps, step } from './submit-attempt.js';
import { Parked } from './submit-draft.js';
import {
  deleteItem,
  itemBody,
  listPeriodItems,
  readSubscriptionInvoice,
  type SeenItem,
  sortItems,
} from './subscription-items.js';
import {
  beginGeneration,
  claimPlacing,
  confirmPlacing,
  countFailure,
  expectPlacing,
  type Generation,
  type PinnedTarget,
  readGeneration,
} from './subscription-store.js';
import { findTarget, hasEnded, readSubscription } from './subscription-target.js';

export interface PlaceRef extends RevisionRef {
  /** For lines that name neither a product nor a tax code of their own. */
  default_tax_code?: string | undefined;
}

export type PlaceOutcome = { outcome: 'placed'; lines: number } | { outcome: 'parked'; reason: string };

interface Attempt {
  deps: SubmitDeps;
  ref: PlaceRef;
  invoice: InvoiceToSubmit;
  /** Grows with each attempt. */
  number: number;
}

/**
 * Brings the lines of one revision onto the customer's subscription exactly once (invariant 3), resumable at every point and
 * safe against an earlier attempt that still runs. A line is an invoice item: the call itself makes it billable, there is no
 * draft to elect. So a generation pins in the database what its requests say, all attempts of a generation share one key
 * for each line, what is there is listed before anything is made, and the next generation begins only when no request of the
 * last one can take effect any more. Once every line was read at Stripe exactly once the submission is confirmed, and
 * nothing adds lines. Throws `stripe_unavailable` for what a later call can do, `stale_inputs` when overtaken.
 */
export async function placeOnSubscription(deps: SubmitDeps, ref: PlaceRef): Promise<PlaceOutcome> {
  const invoice = await readInvoiceToSubmit(deps.pool, ref);
  const claim = await step(deps, 'claim', () => claimPlacing(deps.pool, ref, invoice));
  if (claim.confirmed_at !== null) return { outcome: 'placed', lines: invoice.lines.length };
  const attempt: Attempt = { deps, ref, invoice, number: claim.attempt };
  try {
    if (claim.failed_generations >= STRIPE_GENERATIONS_COUNT) throw tooManyFailed('nothing was tried again since');
    await place(attempt);
    return { outcome: 'placed', lines: invoice.lines.length };
  } catch (error) {
    if (!(error instanceof Parked) && !isRefused(error)) throw error;
    // An overtaken attempt finds Stripe changed under it: that is no reason to park.
    await step(deps, 'park', () => expectPlacing(deps.pool, ref, attempt.number));
    return { outcome: 'parked', reason: error.message };
  }
}

async function place(attempt: Attempt): Promise<void> {
  const { deps, ref, invoice } = attempt;
  // Generations whose missing lines this attempt has asked for: asking again would only repeat their answers.
  const asked = new Set<number>();
  for (;;) {
    const listedAt = Date.now();
    const found = judge(invoice, await listOurs(attempt));
    if (found.wrong.length > 0) {
      for (const item of found.wrong) await removeWrong(attempt, item, found.right);
      const failed = await step(deps, 'count failure', () => countFailure(deps.pool, ref, attempt.number));
      if (failed >= STRIPE_GENERATIONS_COUNT) throw tooManyFailed('of the last, lines were there twice or changed');
      continue;
    }
    if (found.missing.length === 0) {
      await step(deps, 'confirm', () => confirmPlacing(deps.pool, ref, attempt.number, found.right));
      return;
    }
    const next = await nextGeneration(attempt, found, listedAt, asked);
    if (next === 'list again') continue;
    asked.add(next.generation);
    await makeMissing(attempt, next, found.missing);
  }
}

async function listOurs({ deps, ref, invoice }: Attempt): Promise<SeenItem[]> {
  const items = await listPeriodItems(deps, { ...invoice, period_id: ref.period_id });
  return items.filter(({ key }) => key === invoice.key);
}

function tooManyFailed(detail: string): Parked {
  return new Parked(`${STRIPE_GENERATIONS_COUNT} times the lines at Stripe were not as composed: ${detail}.`);
}

interface Found {
  /** Each line once, as composed. */
  right: SeenItem[];
  /** Line numbers that are not there. */
  missing: number[];
  /** Second ones of their line, and such as were changed. */
  wrong: SeenItem[];
}

/** Compares what is there with what was composed. Parks where other content stands under the same name. */
export function judge(invoice: InvoiceToSubmit, seen: SeenItem[]): Found {
  const lines = new Map(invoice.lines.map((line) => [line.line_number, line.amount_minor]));
  const right = new Map<number, SeenItem>();
  const wrong: SeenItem[] = [];
  // By id, so that of two that judge at once none keeps what the other deletes.
  for (const item of [...seen].sort((a, b) => (a.id < b.id ? -1 : 1))) {
    if (item.hash !== invoice.content_hash) {
      throw new Parked(`Stripe has ${item.id} under the key ${invoice.key} with other content.`);
    }
    const isRight = lines.get(item.line_number) === item.amount && item.currency === invoice.currency;
    if (!isRight || right.has(item.line_number)) wrong.push(item);
    else right.set(item.line_number, item);
  }
  return { right: [...right.values()], wrong, missing: [...lines.keys()].filter((number) => !right.has(number)) };
}

/** Deletes a line; of two of which one is issued already, the other one. Parks where both are. */
async function removeWrong({ deps, ref, number }: Attempt, item: SeenItem, right: SeenItem[]): Promise<void> {
  await step(deps, 'check attempt', () => expectPlacing(deps.pool, ref, number));
  if (await deleteItem(deps, item.id)) return;
  const twin = right.find(({ line_number, amount }) => line_number === item.line_number && amount === item.amount);
  if (twin !== undefined && (await deleteItem(deps, twin.id))) return;
  throw new Parked(`Stripe has issued ${item.id}, which is not as composed or is there twice; correct it at Stripe.`);
}

/**
 * The generation to make missing lines in: the newest while its keys may be used, else the next one. It begins when no
 * request of the last can take effect any more: its keys are dead, or its draft is issued, which lines are never added to.
 * Throws `stripe_unavailable` until then.
 */
async function nextGeneration(
  attempt: Attempt,
  found: Found,
  listedAt: number,
  asked: Set<number>,
): Promise<Generation | 'list again'> {
  const { deps, ref, invoice } = attempt;
  const last = await readGeneration(deps.pool, ref);
  if (last === null) {
    // A database restored from a backup does not know what was begun before.
    const number = Math.max(0, ...found.right.map(({ generation }) => generation)) + 1;
    return begin(attempt, number, await findTarget(deps, invoice));
  }
  if (deadAt(last) <= listedAt) {
    const target = await findTarget(deps, invoice);
    // Not issued, and of another subscription than the customer has now: they would ride on its invoice, or on none.
    const elsewhere = found.right.filter((item) => item.stripe_subscription_id !== target.stripe_subscription_id);
    const misplaced = (await sortItems(deps, elsewhere)).removable;
    for (const { id } of misplaced) {
      await step(deps, 'check attempt', () => expectPlacing(deps.pool, ref, attempt.number));
      // One that was issued this moment stays.
      await deleteItem(deps, id);
    }
    const begun = await begin(attempt, last.generation + 1, target);
    return misplaced.length > 0 ? 'list again' : begun;
  }
  if (last.target_invoice_id !== null && (await isIssued(deps, last.target_invoice_id))) {
    // Its requests are all refused from now on; what was added before is seen by listing after this reading.
    const target = await findTarget(deps, invoice);
    if (target.stripe_subscription_id !== last.stripe_subscription_id) throw notYet(deadAt(last));
    await begin(attempt, last.generation + 1, target);
    return 'list again';
  }
  if (asked.has(last.generation) || Date.now() > usableUntil(last)) throw notYet(deadAt(last));
  return last;
}

function begin({ deps, ref, number: attempt }: Attempt, number: number, target: PinnedTarget): Promise<Generation> {
  return step(deps, 'begin generation', () => beginGeneration(deps.pool, ref, attempt, { number, target }));
}

async function isIssued(deps: SubmitDeps, id: string): Promise<boolean> {
  return (await readSubscriptionInvoice(deps, id))?.status !== 'draft';
}

/** When no request under a generation's keys can take effect any more. */
export function deadAt({ begun_at }: Pick<Generation, 'begun_at'>): number {
  return begun_at.getTime() + SUBSCRIPTION_KEY_MINUTES * 60_000;
}

/** Well before the keys are dead: a request that leaves in time has its answer by then. */
function usableUntil({ begun_at }: Generation): number {
  return begun_at.getTime() + (SUBSCRIPTION_KEY_MINUTES * 60_000) / 2;
}

export function notYet(untilMs: number): CostplusError {
  const detail = 'Requests of the last try may still be on their way to Stripe; the next one waits for them.';
  return new CostplusError('stripe_unavailable', detail, {
    retryAfterSeconds: Math.max(1, Math.ceil((untilMs - Date.now()) / 1_000)),
  });
}

/** Makes lines in the order of the invoice. Ends early where the draft that they go to was issued. */
async function makeMissing(attempt: Attempt, pinned: Generation, missing: number[]): Promise<void> {
  const { deps, ref, invoice } = attempt;
  for (const line of invoice.lines) {
    if (!missing.includes(line.line_number)) continue;
    const body = itemBody(invoice, line, pinned, ref.default_tax_code);
    const idempotencyKey = stepKey(invoice.key, pinned.generation, 'item', [line.line_number]);
    try {
      await call(deps, 'create item', async (sdk) => {
        // A zombie must not wake up with a request: not after the confirmation, and not beyond the life of its keys.
        await expectPlacing(deps.pool, ref, attempt.number);
        if (Date.now() > usableUntil(pinned)) throw overtaken();
        return sdk.invoiceItems.create(body, { idempotencyKey });
      });
    } catch (error) {
      if (!isRefused(error)) throw error;
      if (pinned.target_invoice_id !== null && (await isIssued(deps, pinned.target_invoice_id))) return;
      if (!hasEnded(await readSubscription(deps, pinned.stripe_subscription_id))) throw error;
      // What is there stays; the rest waits for a person, unless the customer has another subscription by now.
      await findTarget(deps, invoice);
      throw notYet(deadAt(pinned));
    }
  }
}
