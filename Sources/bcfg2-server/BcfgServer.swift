import Server

@main
enum BcfgServer {
  static func main() {}
}
