/** How the command line ends; docs/reference/cli.md lists the same. */
export const EXIT_OK = 0;
/** The server refused or the work failed. */
export const EXIT_FAILED = 1;
/** The command was not written right. */
export const EXIT_USAGE = 2;
/** No server, or it does not answer. */
export const EXIT_UNREACHABLE = 3;
/** What was asked for is not there. */
export const EXIT_NOT_FOUND = 4;

/** What ends a command, with the words for the person who typed it. */
export class CommandFailure extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.name = 'CommandFailure';
    this.exitCode = exitCode;
  }
}
