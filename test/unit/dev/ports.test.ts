import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { choosePort, freePort, isPortFree } from '../../../src/dev/ports.js';

const servers: Server[] = [];

/** Occupies a port of the loopback until the test is over. */
async function occupiedPort(): Promise<number> {
  const port = await freePort();
  const server = createServer();
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return port;
}

afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
});

describe('the port of a part', () => {
  const said: string[] = [];
  const say = (line: string) => {
    said.push(line);
  };
  afterEach(() => {
    said.length = 0;
  });

  it('is the preferred one while nothing listens there, without a word', async () => {
    const preferred = await freePort();
    expect(await choosePort({ part: 'the API', preferred }, say)).toBe(preferred);
    expect(said).toEqual([]);
  });

  it('is another free one where the preferred one is taken, and says so', async () => {
    const taken = await occupiedPort();
    const port = await choosePort({ part: 'the API', preferred: taken }, say);
    expect(port).not.toBe(taken);
    expect(await isPortFree(port)).toBe(true);
    expect(said).toEqual([`port ${taken} is taken: the API uses ${port}`]);
  });

  it('is the one that was asked for, whatever is preferred', async () => {
    const [asked, preferred] = [await freePort(), await freePort()];
    expect(await choosePort({ part: 'the API', preferred, asked: { variable: 'PORT', port: asked } }, say)).toBe(asked);
  });

  it('is an error that names port and variable where the one that was asked for is taken', async () => {
    const taken = await occupiedPort();
    const chosen = choosePort({ part: 'the API', preferred: 8_080, asked: { variable: 'PORT', port: taken } }, say);
    await expect(chosen).rejects.toMatchObject({
      code: 'configuration',
      message: expect.stringContaining(`Port ${taken} of PORT`),
    });
  });

  it('is any free one where 0 was asked for', async () => {
    const port = await choosePort({ part: 'the API', preferred: 8_080, asked: { variable: 'PORT', port: 0 } }, say);
    expect(port).toBeGreaterThan(0);
    expect(await isPortFree(port)).toBe(true);
  });
});
