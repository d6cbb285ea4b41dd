// What the page's connections say of themselves.

const sum = (reports, name) => reports.reduce((all, report) => all + (report[name] ?? 0), 0);

async function proofOf(connections, devices, ears) {
  const reports = [];
  for (const connection of connections) {
    // One that is being closed has nothing to say, and the others do.
    const stats = await connection.getStats().catch(() => new Map());
    reports.push(...stats.values());
  }
  const of = (type, kind) => reports.filter((r) => r.type === type && r.kind === kind);
  const pictures = of("outbound-rtp", "video");
  const sounds = of("inbound-rtp", "audio");
  const largest = pictures.reduce(
    (best, r) => ((r.frameHeight ?? 0) > (best.frameHeight ?? 0) ? r : best),
    {},
  );
  return {
    states: connections.map((connection) => connection.connectionState),
    framesEncoded: sum(pictures, "framesEncoded"),
    framesSent: sum(pictures, "framesSent"),
    frameWidth: largest.frameWidth ?? 0,
    frameHeight: largest.frameHeight ?? 0,
    soundPacketsSent: sum(of("outbound-rtp", "audio"), "packetsSent"),
    soundEnergySent: sum(of("media-source", "audio"), "totalAudioEnergy"),
    soundPacketsReceived: sum(sounds, "packetsReceived"),
    soundEnergyReceived: sum(sounds, "totalAudioEnergy"),
    soundEnergyHeard: ears.energy(),
    camera: devices.state("video"),
    microphone: devices.state("audio"),
  };
}
