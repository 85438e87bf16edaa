import { Network } from 'lucide-react';
import { useDeferredValue, useMemo, useRef } from 'react';
import { Page, Stack } from '~/components/Page';
import { plural } from '~/lib/format';
import { useUrlStates } from '~/lib/useUrlStates';
import { Button } from '~/ui/Button';
import { EmptyState, ErrorState, SkeletonLines } from '~/ui/States';
import { download, svgOf } from './exportSvg';
import { GraphCanvas, type CanvasHandle } from './GraphCanvas';
import { GraphList } from './GraphList';
import styles from './GraphPage.module.css';
import { GraphToolbar } from './GraphToolbar';
import { found as findIn } from './model';
import { NodePanel } from './NodePanel';
import { Concerns, Legend } from './Overview';
import { GRAPH_ADDRESS, useGraph, useImpact } from './useGraph';
import { useLayout } from './useLayout';

export default function GraphPage() {
  const [address, set] = useUrlStates(GRAPH_ADDRESS);
  const { model, hidden, counts, focusId, fault, loading, refresh } = useGraph(address);
  const chosen = model?.items.has(address.node) ? address.node : null;
  const shownItem = model?.items.get(chosen ?? focusId ?? '');
  const breaks = address.breaks === 'yes' && shownItem !== undefined;
  const impact = useImpact(breaks && !shownItem.missing ? shownItem.id : null);
  const breaking = useMemo(
    () => (breaks && impact.affected ? new Set([shownItem.id, ...impact.affected.map((node) => node.id)]) : null),
    [breaks, impact.affected, shownItem],
  );
  const search = useDeferredValue(address.search);
  const found = useMemo(() => new Set(model ? findIn(model, search) : []), [model, search]);
  const withAlone = address.alone === 'yes' || model?.links.length === 0;
  const { arranged, working } = useLayout(model, withAlone);
  const canvas = useRef<CanvasHandle>(null);

  const choose = (id: string | null) => set({ node: id ?? '', ...(id === null && { breaks: '' }) });
  const chooseAndShow = (id: string) => {
    choose(id);
    canvas.current?.reveal(id);
  };
  const focus = (id: string) => set({ focus: id, node: '', breaks: '' }, true);
  const next = () => {
    const ids = [...found];
    const following = ids[(ids.indexOf(chosen ?? '') + 1) % Math.max(1, ids.length)];
    if (following !== undefined) chooseAndShow(following);
  };
  const exportPicture = () => {
    const palette = canvas.current?.palette();
    if (!model || !arranged || !palette) return;
    const name = focusId ? (model.items.get(focusId)?.name ?? 'graph') : 'graph';
    download(svgOf(model, arranged.layout, palette, `Dependencies: ${name}`), `onex-${name.replace(/[^\w.-]+/g, '-')}.svg`);
  };

  const asList = address.view === 'list';
  const focusName = focusId && model?.items.get(focusId)?.name;
  return (
    <Page title="Graph" lede={model ? ledeOf(model.items.size, model.links.length, focusName || null) : 'Who feeds whom: by topics, dependencies, tools and agents.'}>
      <GraphToolbar address={address} set={set} found={found.size} onNext={next} onExport={arranged && !asList ? exportPicture : null} />
      {fault && <ErrorState fault={fault} onRetry={refresh} />}
      {fault && !model && address.focus && <div><Button onClick={() => set({ focus: '' }, true)}>Show the whole graph</Button></div>}
      {loading && <SkeletonLines count={10} label="Loading the graph" />}
      {model && model.items.size === 0 && (
        <EmptyState icon={<Network />} title="No node is registered yet" command="onex register path/to/contracts">
          Register the contract files of a folder: who publishes what others read, and who depends on whom, shows here at once.
        </EmptyState>
      )}
      {model && model.items.size > 0 && (
        <div className={styles.columns}>
          {asList ? (
            <GraphList model={model} found={search ? found : null} focused={focusId !== null} chosen={chosen} breaking={breaking} onChoose={choose} />
          ) : arranged ? (
            <GraphCanvas
              ref={canvas}
              model={model}
              arranged={arranged}
              question={`${address.focus} ${address.depth} ${address.direction} ${withAlone} ${address.hide}`}
              chosen={chosen}
              focus={focusId}
              found={found}
              breaking={breaking}
              onChoose={choose}
              onFocus={focus}
            />
          ) : (
            <div className={styles.frame}><div className={styles.waiting} role="status">Arranging {plural(model.items.size, 'node')}</div></div>
          )}
          <Stack>
            <p className="visually-hidden" role="status">{working && arranged ? 'Arranging anew' : shownItem ? `Chosen: ${shownItem.name}` : ''}</p>
            {shownItem && (
              <NodePanel
                item={shownItem}
                model={model}
                focused={shownItem.id === focusId}
                onFocus={() => focus(shownItem.id)}
                onChoose={chooseAndShow}
                onClose={chosen ? () => choose(null) : null}
                breaks={breaks}
                onBreaks={(on) => set({ node: shownItem.id, breaks: on ? 'yes' : '' })}
                affected={impact.affected}
                fault={impact.fault}
              />
            )}
            <Legend model={model} counts={counts} hidden={hidden} onHide={(kinds) => set({ hide: kinds.join(',') })} alone={withAlone} onAlone={(shown) => set({ alone: shown ? 'yes' : '' })} />
            {!shownItem && <Concerns model={model} onChoose={chooseAndShow} />}
          </Stack>
        </div>
      )}
    </Page>
  );
}

function ledeOf(nodes: number, links: number, focus: string | null): string {
  const size = `${plural(nodes, 'node')}, ${plural(links, 'connection')}`;
  return focus ? `Around ${focus}: ${size}.` : `Who feeds whom: ${size}.`;
}
