/** The bus with the registry's own changes: always there, and nobody else's to publish on, to stop or to define. */
export function isRegistryBus(bus: { name: string }): boolean {
  return bus.name === 'registry';
}
