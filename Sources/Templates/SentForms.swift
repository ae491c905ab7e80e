/// What a renderer has been sent and keeps, so that it is not sent again: clients, and the texts of templates.
struct SentForms {
  /// Clients whose data a renderer keeps; the same in renderer/main.py.
  private static let clientLimit = 8
  /// Templates of which the version that was sent is remembered, at most.
  private static let sourceLimit = 4096
  /// Bytes of texts in one message, at most.
  private static let messageBytes = 8 << 20

  private struct SourceKey: Hashable {
    let kind: TemplateJob.Kind
    let path: TemplateValue
  }

  private var clients: [UInt64] = []
  private var versions: [SourceKey: Int] = [:]

  /// The message that tells of a client; nil where the renderer knows it.
  mutating func newClient(_ client: (serial: UInt64, form: TemplateValue)) -> TemplateValue? {
    guard !clients.contains(client.serial), case .record(let members) = client.form else { return nil }
    clients.append(client.serial)
    if clients.count > Self.clientLimit { clients.removeFirst() }
    return .record(members + [.init("serial", .int(Int(client.serial)))])
  }

  /// The forms of jobs, with the texts that the renderer has not got. What it has forgotten since, or does not fit into the
  /// message, it asks for.
  mutating func forms(of jobs: some Sequence<TemplateJob>) -> [TemplateValue] {
    var textBytes = 0
    return jobs.map { job in
      let key = SourceKey(kind: job.kind, path: .text(job.path))
      guard versions[key] != job.version, textBytes + job.source.count <= Self.messageBytes else {
        return job.form(withSource: false)
      }
      textBytes += job.source.count
      if versions.count >= Self.sourceLimit { versions.removeAll() }
      versions[key] = job.version
      return job.form(withSource: true)
    }
  }
}
