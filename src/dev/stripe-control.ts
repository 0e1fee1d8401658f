import type { Faults } from './stripe-faults.js';

/** What a test or a person does to the stand-in from outside, beside Stripe's own calls. */
export interface Handles {
  state: () => unknown;
  faults: Faults;
  advance: (milliseconds: number) => void;
  collect: () => void;
  payPart: (invoiceId: string, amount: number) => void;
  renew: (subscriptionId: string, draftSeconds?: number) => string;
  issueDrafts: () => void;
  nowMs: () => number;
}

/** Runs one control request; what it answers, or null for one that there is not. */
export function control(handles: Handles, method: string, path: string, text: string): unknown {
  const { faults } = handles;
  const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
  switch (`${method} ${path}`) {
    case 'GET /_state':
      return handles.state();
    case 'POST /_faults':
      faults.order(body);
      break;
    case 'DELETE /_faults':
      faults.clear();
      break;
    case 'POST /_clock':
      handles.advance(Number(body.advance_seconds ?? 0) * 1_000);
      break;
    case 'POST /_collect':
      handles.collect();
      break;
    case 'POST /_pay':
      handles.payPart(String(body.invoice), Number(body.amount));
      break;
    case 'POST /_issue':
      handles.issueDrafts();
      break;
    case 'POST /_renew': {
      const seconds = body.draft_seconds === undefined ? undefined : Number(body.draft_seconds);
      return { invoice: handles.renew(String(body.subscription), seconds) };
    }
    default:
      return null;
  }
  return { now_ms: handles.nowMs(), faults: faults.pending() };
}
