import { RotateCw, Undo2 } from 'lucide-react';
import { useState } from 'react';
import { useAction } from '~/data/hooks';
import { Button, IconButton } from '~/ui/Button';
import { Dialog, DialogActions } from '~/ui/Dialog';
import { ErrorState } from '~/ui/States';
import { toast } from '~/ui/Toast';
import type { Lease } from './leaseSource';
import { ReleaseLeaseDocument, RenewLeaseDocument } from './queries';
import styles from './LeaseActions.module.css';

/** Renewing and giving back. What a process holds, it gives back itself by ending. */
export function LeaseActions({ lease, withWords }: { lease: Lease; withWords?: boolean }) {
  const [asking, setAsking] = useState(false);
  const renew = useAction(RenewLeaseDocument);
  const release = useAction(ReleaseLeaseDocument);
  if (lease.status !== 'ACTIVE') return null;
  if (lease.processId !== null) return withWords ? <p className="muted">Process {lease.processId} holds it, and gives it back by ending.</p> : null;

  const doRenew = async () => {
    const { data, fault } = await renew.run({ id: lease.id });
    if (fault) toast.failed(fault);
    else toast.done(`Port ${data.renew.port} is renewed`);
  };
  const doRelease = async () => {
    const { fault } = await release.run({ id: lease.id });
    if (fault) return;
    setAsking(false);
    toast.done(`Port ${lease.port} is given back`, 'Its number is kept from others for a moment.');
  };
  const ask = () => {
    release.clear();
    setAsking(true);
  };
  return (
    <span className={styles.actions}>
      {withWords ? (
        <>
          <Button icon={<RotateCw aria-hidden="true" />} busy={renew.running} onClick={() => void doRenew()}>Renew</Button>
          <Button variant="danger" icon={<Undo2 aria-hidden="true" />} onClick={ask}>Release</Button>
        </>
      ) : (
        <>
          <IconButton size="small" label={`Renew port ${lease.port}`} icon={<RotateCw aria-hidden="true" />} busy={renew.running} onClick={() => void doRenew()} />
          <IconButton size="small" label={`Release port ${lease.port}`} icon={<Undo2 aria-hidden="true" />} onClick={ask} />
        </>
      )}
      <Dialog
        open={asking}
        onClose={() => setAsking(false)}
        title={`Release port ${lease.port}?`}
        description={`${lease.allocatedBy} has it${lease.purpose ? ` for: ${lease.purpose}` : ''}. Whoever listens there is not told, and somebody else may get the number.`}
      >
        {release.fault && <ErrorState fault={release.fault} />}
        <DialogActions>
          <Button onClick={() => setAsking(false)}>Keep it</Button>
          <Button variant="danger" busy={release.running} onClick={() => void doRelease()}>Release it</Button>
        </DialogActions>
      </Dialog>
    </span>
  );
}
