/** Pure types: where lines of a period stand that have no invoice of their own. */
export interface SubscriptionLines {
  /** The Stripe subscription that bills them; null while none was chosen, or nothing has to be billed. */
  stripe_subscription_id: string | null;
  /** Lines that wait for an invoice of the subscription to be issued. */
  pending_lines: number;
  /** Lines that somebody deleted at Stripe. */
  deleted_lines: number;
  /** Its invoices that have lines of ours, with what these come to; the rest of such an invoice is not ours. */
  invoices: {
    stripe_invoice_id: string;
    stripe_status: string;
    stripe_number: string | null;
    hosted_invoice_url: string | null;
    payment_status: string;
    lines: number;
    amount: string;
  }[];
}
