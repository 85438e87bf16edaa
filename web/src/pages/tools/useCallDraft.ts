import { useState } from 'react';
import { useAction, type ActionResult } from '~/data/hooks';
import type { Fault } from '~/data/errors';
import type { BeginCallMutation } from '~/gql/graphql';
import type { ProxyInvokeInput } from '~/gql/graphql';
import { callInput, USUAL, type CallOptions } from './copyAs';
import { BeginCallDocument } from './queries';

export type Values = Record<string, unknown>;
export type BegunCall = BeginCallMutation['proxyInvoke'];
export type Mode = 'form' | 'json';

/** A call that is being written, and what came of the last one. */
export interface CallDraft {
  values: Values;
  setValues: (values: Values) => void;
  options: CallOptions;
  setOptions: (options: CallOptions) => void;
  mode: Mode;
  setMode: (mode: Mode) => void;
  begun: BegunCall | null;
  running: boolean;
  fault: Fault | null;
  call: (values: unknown, dryRun: boolean) => Promise<ActionResult<BeginCallMutation>>;
}

/** What is kept while one looks at another part of the tool's page. */
export function useCallDraft(tool: { name: string; version: string }): CallDraft {
  const [values, setValues] = useState<Values>({});
  const [options, setOptions] = useState<CallOptions>(USUAL);
  const [mode, setMode] = useState<Mode>('form');
  const [begun, setBegun] = useState<BegunCall | null>(null);
  const { run, running, fault } = useAction(BeginCallDocument);
  const call = async (given: unknown, dryRun: boolean) => {
    // The version that is shown is the one that is called. It goes on without a wait, so that its steps are seen.
    const said = callInput({ tool: tool.name, version: tool.version, arguments: given, options });
    const result = await run({ input: { ...said, ...(dryRun ? { dryRun: true } : { wait: false }) } as ProxyInvokeInput });
    if (result.data) setBegun(result.data.proxyInvoke);
    return result;
  };
  return { values, setValues, options, setOptions, mode, setMode, begun, running, fault, call };
}
