import XMLRPC

// How much of the answers is made, and how much is used again.
extension ServerCore {
  /// Counts by kind: metadata of clients, parts of answers, whole answers.
  package var partCounts: [(kind: String, counts: AnswerCache.Counts)] {
    var all: [(kind: String, counts: AnswerCache.Counts)] = [
      ("metadata", AnswerCache.Counts(made: metadataBuilds, used: metadataUses, dropped: 0))
    ]
    for kind in Part.Kind.allCases {
      if let counts = answerCache.counts[kind] { all.append((kind.rawValue, counts)) }
    }
    all.append(("answers", AnswerCache.Counts(made: 0, used: answerCache.hits, dropped: 0)))
    return all
  }

  /// For `get_statistics`: `NAME:parts:KIND:made`, `:used` and `:dropped`, with a count and no times.
  var partStatistics: [Value.Member] {
    partCounts.flatMap { kind, counts in
      [("made", counts.made), ("used", counts.used), ("dropped", counts.dropped)].filter { $0.1 > 0 }.map {
        Value.Member(
          "\(name):parts:\(kind):\($0.0)", .array([.double(0), .double(0), .double(0), .int(Int64($0.1))]))
      }
    }
  }

  /// A line of the log for SIGUSR1.
  package var partReport: String {
    let figures = partCounts.map { "\($0.kind) \($0.counts.made)/\($0.counts.used)/\($0.counts.dropped)" }
    return "Parts made/used again/dropped: \(figures.joined(separator: ", ")); \(answerCache.count) answers and "
      + "\(answerCache.partCount) parts are kept in \(answerCache.heldBytes >> 10) of \(answerCache.limitBytes >> 10) KiB"
  }
}
