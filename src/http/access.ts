import type { FastifyRequest } from 'fastify';
import { CostplusError } from '../errors/error.js';
import type { ApiKeys, Caller } from './api-keys.js';

/**
 * Who may use a route. `public`: anyone. `signature`: the route checks a signature itself. `service`: service keys.
 * `ops`: ops and finance keys. `finance`: finance keys.
 */
export type Access = 'public' | 'signature' | 'service' | 'ops' | 'finance';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Every route says it; one that does not lets nobody in. */
    access?: Access;
  }
  interface FastifyRequest {
    /** Who asks; null on routes without an API key. */
    caller: Caller | null;
  }
}

const ALLOWED: Readonly<Record<Exclude<Access, 'public' | 'signature'>, readonly Caller['role'][]>> = {
  service: ['service'],
  ops: ['ops', 'finance'],
  finance: ['finance'],
};

/** Lets a request in or throws `unauthenticated`, `forbidden`; before its body is read. */
export async function checkAccess(keys: ApiKeys, request: FastifyRequest): Promise<void> {
  const { access } = request.routeOptions.config;
  if (access === 'public' || access === 'signature') return;
  const caller = await keys.authenticate(request.headers.authorization);
  request.caller = caller;
  if (access === undefined || !ALLOWED[access].includes(caller.role)) {
    throw new CostplusError('forbidden', `A ${caller.role} key may not do this.`);
  }
}

/** The actor of an audited change: the key that asked for it. */
export function actorOf(request: FastifyRequest): string {
  if (!request.caller) throw new Error('an audited route without an API key');
  return `key:${request.caller.prefix}`;
}
