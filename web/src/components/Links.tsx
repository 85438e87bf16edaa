import { Link } from 'wouter';
import { useNodeName } from '~/data/names';
import { paths } from '~/lib/paths';

export function NodeLink({ id, name }: { id: string; name: string }) {
  return (
    <Link href={paths.node(id)} title={name}>
      {name}
    </Link>
  );
}

/** Where only the id is at hand: the name as soon as it is known. */
export function NodeLinkById({ id }: { id: string }) {
  const name = useNodeName(id);
  return <NodeLink id={id} name={name ?? id.slice(0, 8)} />;
}

export function ToolLink({ name, version }: { name: string; version?: string }) {
  return (
    <Link href={paths.tool(name, version)} title={name}>
      {name}
    </Link>
  );
}

export function BusLink({ name }: { name: string }) {
  return (
    <Link href={paths.bus(name)} title={name}>
      {name}
    </Link>
  );
}
