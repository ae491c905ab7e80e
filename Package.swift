// swift-tools-version: 6.2
import PackageDescription

/// Every target: Swift 6, warnings are errors.
let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("InferIsolatedConformances"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .enableUpcomingFeature("ExistentialAny"),
]

/// Targets that live on the event loop: one thread, so everything is the main actor's unless it says otherwise.
let onLoop: [SwiftSetting] = strict + [.defaultIsolation(MainActor.self)]

/// With BCFG2_FUZZ in the environment the parsers are built for libFuzzer, and with them the program of
/// Tests/Fuzz/Server: scripts/fuzz.sh does so, in a build folder of its own.
let isFuzzing = Context.environment["BCFG2_FUZZ"] != nil
let fuzzed: [SwiftSetting] = isFuzzing ? [.unsafeFlags(["-sanitize=fuzzer"])] : []
let fuzzTargets: [Target] =
  isFuzzing
  ? [
    .executableTarget(
      name: "ServerFuzz", dependencies: ["Server"], path: "Tests/Fuzz/Server", swiftSettings: onLoop,
      linkerSettings: [.unsafeFlags([Context.environment["BCFG2_FUZZ"] ?? "", "-lstdc++"])])
  ] : []

/// The Python modules that templates are rendered by.
let rendererModules = [
  "bootstrap", "division", "engines", "errors", "genshicode", "helpers", "main", "properties", "system",
  "textoutput", "textsteps", "title", "trace", "values", "wire",
]

let package = Package(
  name: "bcfg2-swift",
  products: [
    .executable(name: "bcfg2-server", targets: ["bcfg2-server"])
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.1.0"),
  ],
  targets: [
    .target(name: "CLinux"),
    .systemLibrary(
      name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"]), .yum(["openssl-devel"])]),
    .systemLibrary(
      name: "CLibXML2", pkgConfig: "libxml-2.0", providers: [.apt(["libxml2-dev"]), .yum(["libxml2-devel"])]),
    .systemLibrary(
      name: "CPCRE2", pkgConfig: "libpcre2-8", providers: [.apt(["libpcre2-dev"]), .yum(["pcre2-devel"])]),
    .systemLibrary(
      name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"]), .yum(["libyaml-devel"])]),
    .target(
      name: "EventLoop",
      dependencies: ["CLinux", "COpenSSL", .product(name: "Logging", package: "swift-log")],
      swiftSettings: onLoop),
    .target(name: "XMLRPC", swiftSettings: strict + fuzzed),
    .target(
      name: "Server",
      dependencies: [
        "CLinux", "COpenSSL", "CLibXML2", "CPCRE2", "CYAML", "EventLoop", "XMLRPC",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "OrderedCollections", package: "swift-collections"),
      ],
      // The program of the template renderers goes into the executable.
      resources: rendererModules.map { .embedInCode("Templates/renderer/\($0).py") },
      swiftSettings: onLoop + fuzzed),
    .executableTarget(
      name: "bcfg2-server",
      dependencies: ["Server"],
      swiftSettings: onLoop,
      linkerSettings: [.unsafeFlags(["-static-stdlib"], .when(configuration: .release))]),
    .target(
      name: "Support",
      dependencies: ["EventLoop", "XMLRPC", "Server", .product(name: "Logging", package: "swift-log")],
      path: "Tests/Support",
      swiftSettings: onLoop),
    .executableTarget(
      name: "ExecutorProbe", dependencies: ["EventLoop"], path: "Tests/ExecutorProbe", swiftSettings: onLoop),
    .testTarget(
      name: "EventLoopTests", dependencies: ["CLinux", "EventLoop", "ExecutorProbe", "Support"],
      swiftSettings: onLoop),
    .testTarget(name: "XMLRPCTests", dependencies: ["XMLRPC", "Support"], swiftSettings: strict),
    .testTarget(name: "ServerTests", dependencies: ["Server", "Support"], swiftSettings: onLoop),
    .testTarget(
      name: "ProcessTests", dependencies: ["Server", "Support", "bcfg2-server"], swiftSettings: onLoop),
  ] + fuzzTargets
)
