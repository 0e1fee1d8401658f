import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { SavedAnswer } from './stripe-idempotency.js';
import type { StandInCoreEvent } from './stripe-meter-errors.js';
import type {
  StandInCreditNote,
  StandInCustomer,
  StandInInvoice,
  StandInMeter,
  StandInMeterEvent,
} from './stripe-objects.js';
import type { StandInInvoiceItem, StandInSubscription } from './stripe-subscription-objects.js';

/** An event to deliver to the webhook endpoint; gone once it was answered with 2xx or given up. */
export interface PendingEvent {
  id: string;
  body: string;
  attempts: number;
}

interface Tables {
  customers: StandInCustomer;
  invoices: StandInInvoice;
  credit_notes: StandInCreditNote;
  subscriptions: StandInSubscription;
  invoice_items: StandInInvoiceItem;
  meters: StandInMeter;
  meter_events: StandInMeterEvent;
  core_events: StandInCoreEvent;
  events: PendingEvent;
  idempotency: SavedAnswer;
  settings: number;
}
type Table = keyof Tables;
type Change = [Table, string, unknown];

const TABLES: Table[] = [
  'customers',
  'invoices',
  'credit_notes',
  'subscriptions',
  'invoice_items',
  'meters',
  'meter_events',
  'core_events',
  'events',
  'idempotency',
  'settings',
];
/** The journal is folded into the snapshot when it is this long, so that a start stays quick. */
const JOURNAL_BYTES = 64 * 1024 * 1024;

/**
 * What the stand-in knows. With a directory it survives restarts and kills: each request's changes are appended as one
 * line to a journal before the answer leaves, and folded into a snapshot (written beside, then renamed) at start and
 * close. Without a directory it is memory only.
 */
export class StandInStore {
  readonly #directory: string | null;
  readonly #tables = Object.fromEntries(TABLES.map((table) => [table, new Map()])) as {
    [T in Table]: Map<string, Tables[T]>;
  };
  readonly #invoicesByCustomer = new Map<string, Set<string>>();
  #changes: Change[] = [];
  #journal: number | null = null;
  #journalBytes = 0;

  constructor(directory: string | null) {
    this.#directory = directory;
    if (directory === null) return;
    mkdirSync(directory, { recursive: true });
    this.#load();
    this.#fold();
  }

  get<T extends Table>(table: T, id: string): Tables[T] | undefined {
    return this.#tables[table].get(id);
  }

  values<T extends Table>(table: T): Tables[T][] {
    return [...this.#tables[table].values()];
  }

  ids(table: Table): string[] {
    return [...this.#tables[table].keys()];
  }

  /** Newest first, as Stripe lists them. */
  invoicesOf(customer: string): StandInInvoice[] {
    const ids = [...(this.#invoicesByCustomer.get(customer) ?? [])].reverse();
    return ids.map((id) => this.#tables.invoices.get(id)!);
  }

  put<T extends Table>(table: T, id: string, value: Tables[T]): void {
    this.#apply([table, id, value]);
    if (this.#directory !== null) this.#changes.push([table, id, value]);
  }

  delete(table: Table, id: string): void {
    this.#apply([table, id, null]);
    if (this.#directory !== null) this.#changes.push([table, id, null]);
  }

  /** Makes everything since the last commit durable at once: one line holds all changes of one request or none. */
  commit(): void {
    if (this.#journal === null || this.#changes.length === 0) return;
    const line = `${JSON.stringify(this.#changes)}\n`;
    this.#changes = [];
    writeSync(this.#journal, line);
    this.#journalBytes += line.length;
    if (this.#journalBytes > JOURNAL_BYTES) this.#fold();
  }

  close(): void {
    if (this.#journal === null) return;
    this.commit();
    this.#fold();
    closeSync(this.#journal);
    this.#journal = null;
  }

  #apply([table, id, value]: Change): void {
    const map = this.#tables[table] as Map<string, unknown>;
    if (table === 'invoices') {
      const customer = ((value ?? map.get(id)) as StandInInvoice | undefined)?.customer;
      if (customer !== undefined) {
        const ids = this.#invoicesByCustomer.get(customer) ?? new Set();
        this.#invoicesByCustomer.set(customer, value === null ? ids : ids.add(id));
        if (value === null) ids.delete(id);
      }
    }
    if (value === null) map.delete(id);
    else map.set(id, value);
  }

  #path(name: string): string {
    return join(this.#directory!, name);
  }

  #load(): void {
    if (existsSync(this.#path('stripe-state.json'))) {
      const snapshot = JSON.parse(readFileSync(this.#path('stripe-state.json'), 'utf8')) as Record<Table, object>;
      for (const table of TABLES) {
        for (const [id, value] of Object.entries(snapshot[table] ?? {}))
          this.#apply([table, id, completed(table, value)]);
      }
    }
    if (!existsSync(this.#path('stripe-journal.jsonl'))) return;
    for (const line of readFileSync(this.#path('stripe-journal.jsonl'), 'utf8').split('\n')) {
      if (line === '') continue;
      let changes: Change[];
      try {
        changes = JSON.parse(line) as Change[];
      } catch {
        // A torn last line: the process was killed inside the write, so no answer had left.
        break;
      }
      for (const [table, id, value] of changes) this.#apply([table, id, completed(table, value)]);
    }
  }

  #fold(): void {
    const snapshot = Object.fromEntries(TABLES.map((table) => [table, Object.fromEntries(this.#tables[table])]));
    writeFileSync(this.#path('stripe-state.json.new'), JSON.stringify(snapshot));
    renameSync(this.#path('stripe-state.json.new'), this.#path('stripe-state.json'));
    if (this.#journal !== null) closeSync(this.#journal);
    this.#journal = openSync(this.#path('stripe-journal.jsonl'), 'w');
    this.#journalBytes = 0;
  }
}

/** A stored object with what an earlier version of the stand-in did not keep. */
function completed(table: Table, value: unknown): unknown {
  if (value === null || typeof value !== 'object') return value;
  if (table === 'invoices') return { ...laterOfInvoice(value as StandInInvoice), ...value };
  if (table === 'credit_notes') return { ...laterOfCreditNote(value as StandInCreditNote), ...value };
  return value;
}

function laterOfInvoice({ total }: StandInInvoice): Partial<StandInInvoice> {
  return {
    total_excluding_tax: total,
    total_taxes: [],
    total_discount_amounts: [],
    amount_paid_off_stripe: 0,
    default_tax_rates: [],
    discounts: [],
  };
}

function laterOfCreditNote({ amount, credit_amount, refund_amount }: StandInCreditNote): Partial<StandInCreditNote> {
  const post_payment_amount = credit_amount + refund_amount;
  return {
    pre_payment_amount: amount - post_payment_amount,
    post_payment_amount,
    total_excluding_tax: amount,
    total_taxes: [],
    discount_amount: 0,
    out_of_band_amount: null,
    lines: [],
  };
}
