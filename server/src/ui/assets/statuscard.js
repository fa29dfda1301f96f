// What the header says about the server: which device embeds and why, and the banner that appears when the
// server does not answer.

import { byId, el, setText } from './dom.js';
import { duration } from './format.js';

const DEVICES = { cpu: 'CPU', cuda: 'GPU', loading: 'loading the model' };

export function mountStatusCard(store) {
  store.watch(['status', 'online'], ({ status, online }) => {
    const away = online === false;
    byId('device-lamp').dataset.state = away ? 'away' : status && !isLoading(status) ? 'up' : 'unknown';
    setText(byId('device-name'), away ? 'not reachable' : status ? deviceName(status) : 'connecting');
    byId('device-facts').replaceChildren(...(status ? facts(status) : []).flatMap(([term, text]) => [el('dt', {}, term), el('dd', {}, text)]));
    const banner = byId('offline-banner');
    banner.hidden = !away;
    setText(banner, away ? 'The server is not reachable. Check that it is still running; this page goes on by itself when it is back.' : '');
  });
}

/** True while the server still loads its model; photos wait until it has. */
export const isLoading = ({ device }) => device?.device === 'loading';

const deviceName = ({ device }) => DEVICES[device?.device] ?? String(device?.device ?? 'unknown');

function facts(status) {
  const { device = {} } = status;
  return [
    ['Embeds on', [deviceName(status), device.detail].filter(Boolean).join(', ')],
    ['Because', device.reason],
    ['Model', status.model],
    ['Distance kernel', status.kernel],
    ['Data', status.dataDir],
    ['Version', [status.version, status.commit].filter(Boolean).join(', commit ')],
    ['Running for', Number.isFinite(status.uptime_s) ? duration(status.uptime_s) : ''],
  ].filter(([, text]) => text).map(([term, text]) => [term, String(text)]);
}
