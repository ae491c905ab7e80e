import ArgumentParser

/// `bcfg2-report-collector`.
@main
struct Bcfg2ReportCollector: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bcfg2-report-collector",
    abstract: "Moves reports of clients from the server's spool to the reporting database.")
}
