import ArgumentParser

/// `bcfg2-reports`.
@main
struct Bcfg2Reports: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bcfg2-reports", abstract: "Prints what clients reported.")
}
