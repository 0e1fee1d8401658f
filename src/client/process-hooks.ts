/** What is flushed when the process ends. */
interface Closable {
  close(): Promise<unknown>;
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/**
 * Closes the reporter when the process runs out of work, or when SIGTERM or SIGINT asks it to end. After a signal that
 * nobody else handles the process ends by that signal, as it would have; where others handle it, they decide. Returns
 * what takes the hooks away again, to be called when the reporter is closed.
 */
export function flushOnExit(reporter: Closable): () => void {
  const onBeforeExit = (): void => void reporter.close();
  const onSignal = async (signal: NodeJS.Signals): Promise<void> => {
    await reporter.close();
    unhook();
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  };
  const unhook = (): void => {
    process.off('beforeExit', onBeforeExit);
    for (const name of SIGNALS) process.off(name, onSignal);
  };
  process.on('beforeExit', onBeforeExit);
  for (const name of SIGNALS) process.on(name, onSignal);
  return unhook;
}
