import { Braces } from 'lucide-react';
import { useMemo, useState } from 'react';
import { Link } from 'wouter';
import { Columns } from '~/components/Page';
import { formatDuration } from '~/lib/format';
import { paths } from '~/lib/paths';
import { Badge } from '~/ui/Badge';
import { Button } from '~/ui/Button';
import { Card, Fact, Facts } from '~/ui/Card';
import { CodeBlock, Id } from '~/ui/Copy';
import { Json } from '~/ui/Json';
import { Nothing } from '~/ui/Time';
import type { ToolDetails } from './CallPanel';
import { describeSchema } from './schema';
import { SchemaTree } from './SchemaTree';

/** What the tool takes and answers, in words; the schema itself for who wants it. */
export function ToolSchema({ tool }: { tool: ToolDetails }) {
  return (
    <Columns
      main={
        <>
          <SchemaCard title="Arguments" schema={tool.inputSchema} missing="The tool does not say what it takes: any arguments are sent to it as they are." />
          <SchemaCard title="Result" schema={tool.outputSchema} missing="The tool does not say what it answers: its result is not checked." />
        </>
      }
      side={
        <Card title="The tool">
          <Facts>
            <Fact name="Id"><Id id={tool.id} part="all" /></Fact>
            <Fact name="Version">{tool.version}</Fact>
            <Fact name="Contract">{tool.contract ? `${tool.contract.name} ${tool.contract.version}` : 'none: it was registered by fields'}</Fact>
            <Fact name="Time limit">{tool.timeoutMs === null ? 'the registry’s' : formatDuration(tool.timeoutMs)}</Fact>
            <Fact name="Called again">{tool.idempotent ? 'may be, where nobody knows what came of it' : 'never, once a provider may have begun'}</Fact>
            <Fact name="Error codes">{tool.errorCodes.length > 0 ? tool.errorCodes.map((code) => <div key={code}><code>{code}</code></div>) : <Nothing />}</Fact>
            <Fact name="Tags">{tool.tags.length > 0 ? tool.tags.map((tag) => <Link key={tag} href={`${paths.tools()}?tag=${encodeURIComponent(tag)}`}><Badge>{tag}</Badge> </Link>) : <Nothing />}</Fact>
          </Facts>
          <div style={{ marginTop: 16 }}>
            <CodeBlock code={`onex describe-tool ${tool.name} --version ${tool.version}`} label="Command that shows this tool" />
          </div>
        </Card>
      }
    />
  );
}

function SchemaCard({ title, schema, missing }: { title: string; schema: unknown; missing: string }) {
  const [raw, setRaw] = useState(false);
  const described = useMemo(() => (schema === null ? null : describeSchema(schema)), [schema]);
  return (
    <Card
      title={title}
      note={described?.type}
      actions={
        described && (
          <Button size="small" variant="quiet" icon={<Braces aria-hidden="true" />} aria-pressed={raw} onClick={() => setRaw(!raw)}>
            {raw ? 'In words' : 'JSON Schema'}
          </Button>
        )
      }
    >
      {described === null && <p className="muted">{missing}</p>}
      {described && (raw ? <Json value={schema} label={`JSON Schema of the ${title.toLowerCase()}`} /> : <SchemaTree whole={described} />)}
    </Card>
  );
}
