import EventLoop
import Monitoring
import Networking
import ServerSettings

/// What the network side counts, as metrics.
extension BuiltinCore {
  func addNetwork(to samples: inout MetricSamples) {
    for validity in certificateValidities {
      // Of several the one that ends first.
      let label = [Self.label(of: validity.kind)]
      let ends = Double(validity.ends)
      if case .number(let other) = samples.families[ServerMetrics.certificates]?[label] {
        samples.add(ServerMetrics.certificates, label, min(ends, other) - other)
      } else {
        samples.add(ServerMetrics.certificates, label, ends)
      }
    }
    guard let connections else { return }
    let counters = connections.counters
    for (state, count) in connections.stateCounts { samples.add(ServerMetrics.connections, [state], count) }
    for (status, count) in counters.refused { samples.add(ServerMetrics.refusals, ["\(status)"], count) }
    for limit in NetworkLimit.allCases {
      samples.add(ServerMetrics.limits, [limit.option], counters.reached[limit] ?? 0)
    }
    samples.add(ServerMetrics.badAuthentications, counters.failedAuthentications)
    samples.add(ServerMetrics.accepted, counters.accepted)
    samples.add(ServerMetrics.lost, counters.peersGone)
    samples.add(ServerMetrics.dropped, counters.dropped)
    samples.add(ServerMetrics.handshakes, ["done"], counters.handshakes)
    samples.add(ServerMetrics.handshakes, ["failed"], counters.failedHandshakes)
    samples.add(ServerMetrics.handshakes, ["plain_http"], counters.plainHTTP)
    samples.add(ServerMetrics.received, counters.bytesRead)
    samples.add(ServerMetrics.sent, counters.bytesWritten)
    samples.add(ServerMetrics.exhausted, counters.exhausted)
  }

  private static func label(of kind: CertificateValidity.Kind) -> String {
    switch kind {
    case .certificate: "server"
    case .authority: "authority"
    case .revocationList: "revocation_list"
    case .statusResponse: "status_response"
    }
  }
}
