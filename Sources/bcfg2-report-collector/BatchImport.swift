import Databases
import EventLoop
import Logging
import ReportRecords
import ReportStore

/// Stores interactions and says what became of them.
@MainActor
final class BatchImport {
  /// Interactions of one transaction, at most, and bytes of their records.
  static let batchCount = 200
  static let batchBytes = 4 << 20
  /// Lines of the log about entries of one batch.
  private static let warningLimit = 10

  private let store: StoreConnection
  private let refused: RefusedRecords
  private let logger: Logger
  /// Interactions that the database has, since the start.
  private(set) var stored = 0

  init(_ store: StoreConnection, _ refused: RefusedRecords, _ logger: Logger) {
    self.store = store
    self.refused = refused
    self.logger = logger
  }

  /// Stores interactions. One that the database refuses for what is in it is kept among the refused.
  ///
  /// - Throws: `DatabaseError` that is no interaction's fault.
  func store(_ batch: [Interaction]) throws(DatabaseError) {
    let begin = MonotonicTime.now()
    let results = try store.current.store(batch)
    let each = (MonotonicTime.now() - begin) / max(1, batch.count)
    var warnings = 0
    for (interaction, result) in zip(batch, results) {
      switch result.outcome {
      case .stored:
        stored += 1
        logger.info("Imported interaction for \(interaction.hostname) in \(Self.seconds(each))s")
      case .alreadyThere:
        stored += 1
        logger.info(
          "Interaction for \(interaction.hostname) at \(ReportTime(since1970: interaction.microseconds).text) already exists"
        )
      case .failed(let error): refused.keep(interaction, "\(error)")
      }
      for warning in result.warnings {
        warnings += 1
        if warnings <= Self.warningLimit { logger.warning("\(interaction.hostname): \(warning)") }
      }
    }
    if warnings > Self.warningLimit { logger.warning("\(warnings - Self.warningLimit) more such warnings") }
  }

  private static func seconds(_ duration: Duration) -> String {
    let (seconds, attoseconds) = duration.components
    let micro = String(attoseconds / 1_000_000_000_000)
    return "\(seconds).\(String(repeating: "0", count: 6 - micro.utf8.count))\(micro)"
  }
}
