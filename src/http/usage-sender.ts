import type { FastifyRequest } from 'fastify';
import type { EventMark } from '../contracts/event-mark.js';
import type { EventResult } from '../contracts/usage-event.js';
import { CostplusError } from '../errors/error.js';
import { ANONYMOUS, receiveEvents, type Sender } from '../ledger/receive-usage.js';
import { type Source, Sources } from '../sources/sources.js';
import { verifyRequest } from '../usage/request-signature.js';
import { actorOf } from './access.js';
import type { HttpDeps } from './deps.js';

/** Who may send unsigned: `signed` nobody whose source has a secret; `door` also sources that allow it for gateways. */
export type SigningRule = 'signed' | 'door';

/** What every route that takes usage does beside reading its body: who sends, is it signed, append, count, audit. */
export class UsageSenders {
  readonly #deps: HttpDeps;
  readonly #sources: Sources;

  constructor(deps: HttpDeps) {
    this.#deps = deps;
    this.#sources = new Sources(deps.pool, deps.encryptionKey, deps.now);
  }

  /**
   * The sender of a request whose bytes are `bytes`, before they are looked into: a signature is over the bytes as they
   * came. Throws `forbidden` for a source that is switched off, `invalid_signature` for a request that its source should
   * have signed and did not sign like this and now; that leaves an audit row.
   */
  async authenticate(request: FastifyRequest, bytes: Buffer, rule: SigningRule): Promise<Sender> {
    const sourceId = request.caller?.source_id ?? null;
    if (sourceId === null) return ANONYMOUS;
    const source = await this.#sources.find(sourceId);
    if (!source || source.disabled) throw new CostplusError('forbidden', 'The source of this key is switched off.');
    const unsigned = rule === 'door' && source.unsigned_doors && request.headers['webhook-signature'] === undefined;
    if (source.signs && !unsigned) await this.#checkSignature(request, bytes, source);
    return source;
  }

  /** Appends events and answers a result for each, in order, after their commit. */
  async receive(
    request: FastifyRequest,
    sender: Sender,
    events: readonly unknown[],
    marks: readonly (readonly EventMark[])[] = [],
  ): Promise<EventResult[]> {
    const { metrics, appender } = this.#deps;
    metrics.appendQueue.inc(events.length);
    const { results, bad_signatures } = await receiveEvents(appender, events, sender, marks).finally(() =>
      metrics.appendQueue.dec(events.length),
    );
    if (bad_signatures > 0) {
      metrics.signatureFailures.inc({ of: 'event' }, bad_signatures);
      await this.#audit(request, 'usage.event_signature_refused', { events: bad_signatures });
    }
    return results;
  }

  /** Counts results into the metrics and for the request's log line. */
  count(request: FastifyRequest, results: readonly EventResult[]): void {
    const counts: Record<string, number> = {};
    for (const { status } of results) counts[status] = (counts[status] ?? 0) + 1;
    for (const [status, count] of Object.entries(counts)) this.#deps.metrics.usageEvents.inc({ status }, count);
    request.line.results = counts;
  }

  async #checkSignature(request: FastifyRequest, bytes: Buffer, source: Source): Promise<void> {
    try {
      verifyRequest({ secrets: source.secrets, headers: request.headers, body: bytes, now: this.#deps.now() });
    } catch (error) {
      if (!(error instanceof CostplusError) || error.code !== 'invalid_signature') throw error;
      this.#deps.metrics.signatureFailures.inc({ of: 'request' });
      await this.#audit(request, 'usage.signature_refused', { why: error.message });
      throw error;
    }
  }

  /** Who did it, which source, which request; never what the request carried. */
  async #audit(request: FastifyRequest, action: string, detail: Record<string, string | number>): Promise<void> {
    await this.#deps.pool.query('INSERT INTO audit_log (actor, action, subject, detail) VALUES ($1, $2, $3, $4)', [
      actorOf(request),
      action,
      `source:${request.caller?.source_id ?? ''}`,
      { ...detail, request_id: request.id },
    ]);
  }
}
