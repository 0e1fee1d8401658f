import { createServer } from 'node:net';
import { CostplusError } from '../errors/error.js';

const LOOPBACK = '127.0.0.1';

/** A TCP port of the loopback that is free at this moment. */
export async function freePort(): Promise<number> {
  const port = await tryListen(0, LOOPBACK);
  if (port === null) throw new CostplusError('internal', 'This machine has no free TCP port on the loopback.');
  return port;
}

/** Whether a server could listen on this port at this moment. */
export async function isPortFree(port: number, host = LOOPBACK): Promise<boolean> {
  return (await tryListen(port, host)) !== null;
}

/** The port that was bound and given back, or null when it is taken or may not be bound. */
function tryListen(port: number, host: string): Promise<number | null> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(null));
    probe.listen({ port, host, exclusive: true }, () => {
      const address = probe.address();
      probe.close(() => resolve(address && typeof address === 'object' ? address.port : null));
    });
  });
}

/** What a part wants to listen on. */
export interface PortWish {
  /** How people call the part, for messages. */
  part: string;
  /** Used where it is free and nobody asked for another. */
  preferred: number;
  /** The environment variable that asks for a port, and what it says; 0 asks for any free one. */
  asked?: { variable: string; port: number };
  host?: string;
}

/**
 * Chooses the port of a part. A port that was asked for is used or refused (`configuration`, naming the variable);
 * one that was merely preferred gives way to a free one, and `say` hears of it.
 */
export async function choosePort(wish: PortWish, say: (line: string) => void): Promise<number> {
  const { asked, preferred, part, host } = wish;
  if (asked) {
    if (asked.port === 0) return freePort();
    if (await isPortFree(asked.port, host)) return asked.port;
    throw new CostplusError(
      'configuration',
      `Port ${asked.port} of ${asked.variable} is taken by another program. Stop it, or set ${asked.variable} to another port.`,
    );
  }
  if (await isPortFree(preferred, host)) return preferred;
  const other = await freePort();
  say(`port ${preferred} is taken: ${part} uses ${other}`);
  return other;
}
