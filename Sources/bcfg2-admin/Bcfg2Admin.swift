import ArgumentParser

/// `bcfg2-admin`.
@main
struct Bcfg2Admin: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bcfg2-admin", abstract: "Administers a Bcfg2 server.")
}
