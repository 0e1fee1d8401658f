#!/usr/bin/env node
import { runCommandLine } from './command-line.js';
import { processOutput } from './output.js';

const exitCode = await runCommandLine(process.argv.slice(2), { environment: process.env, output: processOutput });
if (exitCode !== 0) process.exitCode = exitCode;
