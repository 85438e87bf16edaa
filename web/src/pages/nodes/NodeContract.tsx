import { FileText } from 'lucide-react';
import { Columns } from '~/components/Page';
import { plural } from '~/lib/format';
import { Card, Fact, Facts } from '~/ui/Card';
import { Id } from '~/ui/Copy';
import { Json } from '~/ui/Json';
import { EmptyState } from '~/ui/States';
import { Table, type Column } from '~/ui/Table';
import { Nothing, Time } from '~/ui/Time';
import styles from './NodeContract.module.css';
import type { NodeDetails } from './NodeSummary';

type Contract = NonNullable<NodeDetails['contract']>;
type ContractField = Contract['inputs'][number];
type Dependency = Contract['dependencies'][number];

const fieldColumns: readonly Column<ContractField>[] = [
  { key: 'name', title: 'Name', width: 'minmax(110px, 1fr)', cell: (field) => <code>{field.name}</code> },
  { key: 'type', title: 'Type', width: 'minmax(80px, 1fr)', cell: (field) => field.type },
  { key: 'required', title: 'Required', width: '72px', cell: (field) => (field.required ? 'yes' : 'no') },
  { key: 'description', title: 'Description', width: 'minmax(90px, 2fr)', hideBelow: 2, cell: (field) => field.description ?? <Nothing /> },
];

const dependencyColumns: readonly Column<Dependency>[] = [
  { key: 'name', title: 'Name', width: 'minmax(100px, 1fr)', cell: (dependency) => dependency.name },
  { key: 'kind', title: 'Kind', width: '90px', cell: (dependency) => dependency.kind },
  { key: 'target', title: 'Target', width: 'minmax(110px, 1.4fr)', cell: (dependency) => <code title={dependency.target}>{dependency.target}</code> },
  { key: 'required', title: 'Required', width: '72px', hideBelow: 2, cell: (dependency) => (dependency.required ? 'yes' : 'no') },
];

/** What the node promises. */
export function NodeContract({ node }: { node: NodeDetails }) {
  const { contract } = node;
  if (!contract) {
    return (
      <EmptyState icon={<FileText />} title="It registered without a contract" command={`onex register path/to/contract.yaml`}>
        A contract says which topics a node publishes and reads, what it depends on, and which tools it offers.
      </EmptyState>
    );
  }
  return (
    <Columns
      main={
        <>
          <Fields title="Inputs" fields={contract.inputs} />
          <Fields title="Outputs" fields={contract.outputs} />
          {contract.dependencies.length > 0 && (
            <Card title="Dependencies" note={plural(contract.dependencies.length, 'dependency', 'dependencies')} flush>
              <Table label="Dependencies" columns={dependencyColumns} rows={contract.dependencies} rowKey={(dependency) => `${dependency.kind} ${dependency.name}`} height={420} />
            </Card>
          )}
          <Card title="Document">
            <Json value={contract.document} label="The contract as it was registered" />
          </Card>
        </>
      }
      side={
        <>
          <Card title="Contract">
            <Facts>
              <Fact name="Name">{contract.name}</Fact>
              <Fact name="Version">{contract.version}</Fact>
              <Fact name="Hash"><Id id={contract.hash} /></Fact>
              <Fact name="Taken in"><Time at={contract.registeredAt} /></Fact>
              <Fact name="Takes context">{contract.acceptsContext ? 'yes' : 'no'}</Fact>
              <Fact name="Changes state">{contract.modifiesState ? 'yes' : 'no'}</Fact>
              {contract.sideEffects.length > 0 && <Fact name="Side effects">{contract.sideEffects.join(', ')}</Fact>}
              {contract.errorCodes.length > 0 && <Fact name="Error codes">{contract.errorCodes.join(', ')}</Fact>}
            </Facts>
          </Card>
          <Topics title="Publishes" topics={contract.publishes} />
          <Topics title="Reads" topics={contract.subscribes} />
          <Topics title="Dead letters to" topics={contract.deadLetters} />
        </>
      }
    />
  );
}

function Fields({ title, fields }: { title: string; fields: readonly ContractField[] }) {
  if (fields.length === 0) return null;
  return (
    <Card title={title} note={plural(fields.length, 'field')} flush>
      <Table label={title} columns={fieldColumns} rows={fields} rowKey={(field) => field.name} height={420} />
    </Card>
  );
}

function Topics({ title, topics }: { title: string; topics: readonly string[] }) {
  if (topics.length === 0) return null;
  return (
    <Card title={title} note={plural(topics.length, 'topic')}>
      <ul className={styles.topics}>
        {topics.map((topic) => (
          <li key={topic}>
            <code>{topic}</code>
          </li>
        ))}
      </ul>
    </Card>
  );
}
