import Identity

/// The probe data of all clients in memory, in the order of the clients' names.
struct ProbeTable {
  private(set) var reports: [ClientName: ProbeReport] = [:]
  /// Sorted.
  private(set) var names: [ClientName] = []
  /// About how many bytes all of it takes in probed.xml.
  private(set) var totalBytes = 0

  subscript(_ client: ClientName) -> ProbeReport? { reports[client] }

  mutating func set(_ report: ProbeReport, of client: ClientName) {
    totalBytes += report.sizeBytes
    if let known = reports.updateValue(report, forKey: client) {
      totalBytes -= known.sizeBytes
      return
    }
    totalBytes += client.text.utf8.count
    names.insert(client, at: place(of: client))
  }

  mutating func remove(_ client: ClientName) {
    guard let known = reports.removeValue(forKey: client) else { return }
    totalBytes -= known.sizeBytes + client.text.utf8.count
    let place = place(of: client)
    if place < names.count, names[place] == client { names.remove(at: place) }
  }

  /// The index at which a name is, or where it belongs.
  private func place(of client: ClientName) -> Int {
    var low = 0
    var high = names.count
    while low < high {
      let middle = (low + high) / 2
      if names[middle] < client { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// The document for probed.xml: all reports, with those of a batch in place of older ones.
  func document(with batch: [ClientName: ProbeReport] = [:], as kind: ProbedFile.Kind) -> [UInt8] {
    let new = batch.keys.filter { reports[$0] == nil }
    let all = new.isEmpty ? names : (names + new).sorted()
    return ProbedFile.bytes(of: all.lazy.map { [reports] in ($0, batch[$0] ?? reports[$0]!) }, as: kind)
  }
}
