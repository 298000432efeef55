package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// APIServer configures the API server. The files that it names have the formats of
// kube-apiserver.
type APIServer struct {
	// Certificate is the server's. Default: one of the cluster's own authority.
	Certificate Certificate `json:"certificate,omitempty"`
	// ServiceAccounts configures their tokens.
	ServiceAccounts ServiceAccounts `json:"serviceAccounts,omitempty"`

	Authentication Authentication `json:"authentication,omitempty"`
	Authorization  Authorization  `json:"authorization,omitempty"`
	Admission      Admission      `json:"admission,omitempty"`
	Audit          Audit          `json:"audit,omitempty"`
	Encryption     Encryption     `json:"encryption,omitempty"`

	// Proxy is the client certificate for aggregated API servers. Default: one of an
	// authority of its own. Its authority must be
	// authentication.requestHeader.clientCAFile, which is published for those servers.
	Proxy Certificate `json:"proxy,omitempty"`
	// Kubelet configures connections to agents.
	Kubelet Kubelet `json:"kubelet,omitempty"`
	// TLS and HTTP2 bound what connections may use.
	TLS   TLS   `json:"tls,omitempty"`
	HTTP2 HTTP2 `json:"http2,omitempty"`

	// ExternalHostname is the address, with or without a port, that discovery
	// gives to clients. Default the address of listen.
	ExternalHostname string `json:"externalHostname,omitempty"`
	// StrictTransportSecurity are directives of that header, such as
	// max-age=31536000. Default none: no header.
	StrictTransportSecurity []string `json:"strictTransportSecurity,omitempty"`
	// EventTTL is the time for which Events are kept after they were last written, at least
	// 1s. Default 1h.
	EventTTL metav1.Duration `json:"eventTTL,omitempty"`
	// DeleteCollectionWorkers is the number of objects of one deletecollection that are
	// deleted side by side. Default 16.
	DeleteCollectionWorkers int32 `json:"deleteCollectionWorkers,omitempty"`
	// MinRequestTimeout is the shortest time after which a watch without a timeout
	// is ended; the longest is twice that. Default 30m.
	MinRequestTimeout metav1.Duration `json:"minRequestTimeout,omitempty"`
	// ShutdownDelay is the time for which the server goes on to answer after the signal to
	// stop, while /readyz fails. Default 0s.
	ShutdownDelay metav1.Duration `json:"shutdownDelay,omitempty"`
	// LivezGracePeriod is how long after the start /livez passes over hooks that
	// have not ended. Default 0s.
	LivezGracePeriod metav1.Duration `json:"livezGracePeriod,omitempty"`

	// RequestTimeout bounds every request that is not long-running (watch,
	// exec, logs and the like). Default 60s.
	RequestTimeout metav1.Duration `json:"requestTimeout,omitempty"`
	// MaxRequestsInFlight and MaxMutatingRequestsInFlight bound the reads and writes
	// that are served at once; the rest is answered 429. Long-running
	// requests and those of the cluster's own parts do not count. Defaults 400
	// and 200.
	MaxRequestsInFlight         int32 `json:"maxRequestsInFlight,omitempty"`
	MaxMutatingRequestsInFlight int32 `json:"maxMutatingRequestsInFlight,omitempty"`
	// Profiling serves /debug/pprof to clients authorized to get it. Default true.
	Profiling *bool `json:"profiling,omitempty"`
	// RuntimeConfig turns API versions on and off, as kube-apiserver's flag
	// --runtime-config: api/all, api/ga, api/beta and api/alpha, group/version, and
	// group/version/resource, each "true" or "false". Default: stable versions are on,
	// beta and alpha versions are off. What is off is off for clients only; the
	// controllers, the scheduler and the nodes of this process go on to use it.
	RuntimeConfig map[string]string `json:"runtimeConfig,omitempty"`
	// CORSAllowedOrigins are regular expressions of the origins whose scripts a
	// browser lets read answers; each must be anchored with ^, $ or //. Default
	// none.
	CORSAllowedOrigins []string `json:"corsAllowedOrigins,omitempty"`
}

// Certificate is a certificate with its key, PEM files. Agents of other machines
// trust the cluster's own authority and do not join a server that shows another.
type Certificate struct {
	CertFile string `json:"certFile,omitempty"`
	KeyFile  string `json:"keyFile,omitempty"`
}

// NamedCertificate is a certificate for some names.
type NamedCertificate struct {
	CertFile string `json:"certFile,omitempty"`
	KeyFile  string `json:"keyFile,omitempty"`
	// Names that clients ask for, a leading *. stands for one label. Default those
	// in the certificate.
	Names []string `json:"names,omitempty"`
}

// TLS bounds what connections may use, under the names of crypto/tls.
type TLS struct {
	// MinVersion is VersionTLS10, VersionTLS11, VersionTLS12 or VersionTLS13.
	// Default VersionTLS12.
	MinVersion string `json:"minVersion,omitempty"`
	// CipherSuites of versions before 1.3. Default those of crypto/tls.
	CipherSuites []string `json:"cipherSuites,omitempty"`
	// CurvePreferences are numbers of key exchange mechanisms (CurveID). Default
	// those of crypto/tls.
	CurvePreferences []int32 `json:"curvePreferences,omitempty"`
	// SNICertificates are shown in place of certificate to clients that ask for one
	// of their names. Default none.
	SNICertificates []NamedCertificate `json:"sniCertificates,omitempty"`
}

// HTTP2 configures HTTP/2.
type HTTP2 struct {
	// Disabled serves HTTP/1.1 alone. Default false.
	Disabled bool `json:"disabled,omitempty"`
	// MaxStreamsPerConnection bounds the requests that one connection has at once.
	// Default 1000.
	MaxStreamsPerConnection int32 `json:"maxStreamsPerConnection,omitempty"`
	// GoawayChance is the share of requests whose connection is ended after it, so
	// that clients spread over several servers, at most 0.02. Default 0.
	GoawayChance float64 `json:"goawayChance,omitempty"`
}

// Kubelet configures how the server reaches agents of other processes. The
// defaults are the settings that agents of this cluster ask for.
type Kubelet struct {
	// CAFile has the authorities of agents' certificates, PEM; the certificates must then
	// be for the address of the node. Default the cluster's own authority of agents.
	CAFile string `json:"caFile,omitempty"`
	// CertFile and KeyFile have the client certificate that agents get to see. Default
	// one of the cluster's authority.
	CertFile string `json:"certFile,omitempty"`
	KeyFile  string `json:"keyFile,omitempty"`
	// PreferredAddressTypes are the types of node addresses to try, the first that a
	// node has. Default InternalIP.
	PreferredAddressTypes []string `json:"preferredAddressTypes,omitempty"`
}

// ServiceAccounts configures the tokens of service accounts.
type ServiceAccounts struct {
	// Issuer is the URL in the tokens. Default
	// https://kubernetes.default.svc.CLUSTERDOMAIN.
	Issuer string `json:"issuer,omitempty"`
	// Audiences of tokens that name none. Default the issuer.
	Audiences []string `json:"audiences,omitempty"`
	// SigningKeyFile has the private key that signs tokens, RSA or ECDSA, PEM.
	// Default: one in the data directory.
	SigningKeyFile string `json:"signingKeyFile,omitempty"`
	// KeyFiles have further public keys of tokens that are accepted: PEM keys or
	// certificates. Default none.
	KeyFiles []string `json:"keyFiles,omitempty"`
	// AcceptedIssuers are further issuers whose tokens are accepted, if one of the
	// keys signed them. Default none.
	AcceptedIssuers []string `json:"acceptedIssuers,omitempty"`
	// JWKSURI is the https address of the keys in the discovery document.
	// Default openid/v1/jwks below the issuer.
	JWKSURI string `json:"jwksURI,omitempty"`
	// MaxTokenExpiration bounds how long a requested token is valid, at least 1h.
	// Default 0s: no bound.
	MaxTokenExpiration metav1.Duration `json:"maxTokenExpiration,omitempty"`
	// ExtendTokenExpiration makes the tokens of pods valid for a year, for clients
	// that read them once; after an hour their use is recorded as stale. Default true.
	ExtendTokenExpiration *bool `json:"extendTokenExpiration,omitempty"`
}

// Authentication configures which clients the API server authenticates, besides
// client certificates of the cluster's authority, service accounts and agents.
type Authentication struct {
	// ClientCAFile has authorities of client certificates besides the cluster's
	// own, PEM. It is read again when it changes. Default none.
	ClientCAFile string `json:"clientCAFile,omitempty"`
	// ConfigFile is an AuthenticationConfiguration (apiserver.config.k8s.io):
	// OIDC issuers, and the paths open to requests without credentials. It is
	// read again when it changes, the anonymous part excepted. Default none.
	ConfigFile string `json:"configFile,omitempty"`
	// AnonymousPaths are served without credentials, as far as the user
	// system:anonymous is authorized; "*" is all of them, [] none. Not with the
	// anonymous part of ConfigFile. Default /livez, /readyz and /healthz.
	AnonymousPaths []string `json:"anonymousPaths,omitempty"`
	// TokenFile has static tokens, one a line: token,user,uid,"group1,group2". It
	// is read once. Default none.
	TokenFile string `json:"tokenFile,omitempty"`
	// OIDC is one issuer of ID tokens, with the settings of kube-apiserver's flags. Not
	// with ConfigFile, which may have several issuers with more settings.
	OIDC OIDC `json:"oidc,omitempty"`
	// BootstrapTokens accepts the tokens in Secrets of the type
	// bootstrap.kubernetes.io/token in kube-system. Default true.
	BootstrapTokens *bool `json:"bootstrapTokens,omitempty"`
	// TokenWebhook asks another server about bearer tokens. Default none.
	TokenWebhook TokenWebhook `json:"tokenWebhook,omitempty"`
	// RequestHeader accepts the names of users from a proxy in front. Default none.
	RequestHeader RequestHeader `json:"requestHeader,omitempty"`
}

// OIDC is an issuer of ID tokens:
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#using-flags.
type OIDC struct {
	// IssuerURL turns the issuer on; https.
	IssuerURL string `json:"issuerURL,omitempty"`
	// ClientID is the audience that tokens must have.
	ClientID string `json:"clientID,omitempty"`
	// CAFile has the authorities of the issuer's certificate, PEM. Default those of
	// the system.
	CAFile string `json:"caFile,omitempty"`
	// UsernameClaim and UsernamePrefix make names of users. Defaults sub, and the
	// issuer with # for claims other than email; - is no prefix.
	UsernameClaim  string `json:"usernameClaim,omitempty"`
	UsernamePrefix string `json:"usernamePrefix,omitempty"`
	// GroupsClaim and GroupsPrefix make groups. Default none.
	GroupsClaim  string `json:"groupsClaim,omitempty"`
	GroupsPrefix string `json:"groupsPrefix,omitempty"`
	// RequiredClaims are claims with the values that tokens must have.
	RequiredClaims map[string]string `json:"requiredClaims,omitempty"`
	// SigningAlgs are the algorithms that tokens may be signed with. Default RS256.
	SigningAlgs []string `json:"signingAlgs,omitempty"`
}

// TokenWebhook is a server that authenticates bearer tokens.
type TokenWebhook struct {
	// KubeconfigFile has the server's address and credentials.
	KubeconfigFile string `json:"kubeconfigFile,omitempty"`
	// Version of authentication.k8s.io that the server speaks: v1 or v1beta1.
	// Default v1.
	Version string `json:"version,omitempty"`
	// CacheTTL is the time for which answers are kept. Default 2m.
	CacheTTL metav1.Duration `json:"cacheTTL,omitempty"`
}

// RequestHeader is a proxy that authenticates users and passes on their names in headers.
type RequestHeader struct {
	// ClientCAFile holds the authorities of the proxy's client certificate, PEM.
	// It is read again when it changes. Setting it turns the proxy on.
	ClientCAFile string `json:"clientCAFile,omitempty"`
	// AllowedNames are the common names the proxy may have; empty allows all.
	AllowedNames []string `json:"allowedNames,omitempty"`
	// The names of the headers; an empty list (not null) reads none. Defaults
	// X-Remote-User, X-Remote-Uid, X-Remote-Group, and the prefix X-Remote-Extra-.
	UsernameHeaders     []string `json:"usernameHeaders,omitempty"`
	UIDHeaders          []string `json:"uidHeaders,omitempty"`
	GroupHeaders        []string `json:"groupHeaders,omitempty"`
	ExtraHeaderPrefixes []string `json:"extraHeaderPrefixes,omitempty"`
}

// Authorization configures the authorizers of the API server.
type Authorization struct {
	// ConfigFile is an AuthorizationConfiguration (apiserver.config.k8s.io):
	// the authorizers in their order, webhooks among them. It is read again when
	// it changes, but what it named at first must stay. Without Node, agents of
	// other machines are authorized for nothing. Default: Node, then RBAC.
	ConfigFile string `json:"configFile,omitempty"`
	// Modes are the authorizers in their order, in place of ConfigFile: Node, RBAC,
	// Webhook, ABAC, AlwaysAllow, AlwaysDeny. Default none: ConfigFile, or Node and
	// RBAC.
	Modes []string `json:"modes,omitempty"`
	// PolicyFile is the policy of the mode ABAC, a JSON object a line:
	// https://kubernetes.io/docs/reference/access-authn-authz/abac/.
	PolicyFile string `json:"policyFile,omitempty"`
	// Webhook is the server that the mode Webhook asks.
	Webhook AuthorizationWebhook `json:"webhook,omitempty"`
}

// AuthorizationWebhook is a server that authorizes requests.
type AuthorizationWebhook struct {
	// KubeconfigFile has the server's address and credentials.
	KubeconfigFile string `json:"kubeconfigFile,omitempty"`
	// Version of authorization.k8s.io that the server speaks: v1 or v1beta1.
	// Default v1.
	Version string `json:"version,omitempty"`
	// AuthorizedTTL and UnauthorizedTTL are the time for which answers are kept; 0s keeps none.
	// Defaults 5m and 30s.
	AuthorizedTTL   *metav1.Duration `json:"authorizedTTL,omitempty"`
	UnauthorizedTTL *metav1.Duration `json:"unauthorizedTTL,omitempty"`
}

// Admission configures admission plugins, by upstream's names: NamespaceLifecycle,
// LimitRanger and so on, see
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/.
// Unknown names are refused.
type Admission struct {
	// EnablePlugins are on besides those that are on by default.
	EnablePlugins []string `json:"enablePlugins,omitempty"`
	// DisablePlugins are off though they are on by default.
	DisablePlugins []string `json:"disablePlugins,omitempty"`
	// ConfigFile is an AdmissionConfiguration (apiserver.config.k8s.io/v1):
	// configurations of single plugins, in it or in files that it names, such
	// as PodSecurity's defaults and the credentials for webhooks. Default none.
	ConfigFile string `json:"configFile,omitempty"`
	// NotReadyTolerationSeconds and UnreachableTolerationSeconds are the time in seconds
	// for which the tolerations that the plugin DefaultTolerationSeconds gives pods hold.
	// Defaults 300.
	NotReadyTolerationSeconds    *int64 `json:"notReadyTolerationSeconds,omitempty"`
	UnreachableTolerationSeconds *int64 `json:"unreachableTolerationSeconds,omitempty"`
}

// Audit configures the audit log. There is one with a policy only.
type Audit struct {
	// PolicyFile is a Policy (audit.k8s.io/v1): what is recorded of which request.
	PolicyFile string `json:"policyFile,omitempty"`
	// LogPath is the file that events are written to, - for standard output.
	LogPath string `json:"logPath,omitempty"`
	// LogFormat is json or legacy. Default json.
	LogFormat string `json:"logFormat,omitempty"`
	// LogMaxSize is the size in megabytes at which a new file is begun. Default 100.
	LogMaxSize int32 `json:"logMaxSize,omitempty"`
	// LogMaxBackups is the number of old files that are kept; 0 keeps all. Default 0.
	LogMaxBackups int32 `json:"logMaxBackups,omitempty"`
	// LogMaxAge is the age in days at which old files are deleted; 0 keeps all. Default 0.
	LogMaxAge int32 `json:"logMaxAge,omitempty"`
	// LogCompress gzips old files. Default false.
	LogCompress bool `json:"logCompress,omitempty"`
	// LogMode is blocking (a request waits for its event to be written), batch
	// (events are buffered and written beside) or blocking-strict (a request
	// whose event cannot be written fails). Default blocking.
	LogMode string `json:"logMode,omitempty"`
	// LogBatch configures the buffering of events in the mode batch, LogTruncate bounds their size.
	LogBatch    AuditBatch    `json:"logBatch,omitempty"`
	LogTruncate AuditTruncate `json:"logTruncate,omitempty"`
	// WebhookKubeconfigFile names the kubeconfig of the server that events are sent to.
	WebhookKubeconfigFile string `json:"webhookKubeconfigFile,omitempty"`
	// WebhookMode is as LogMode. Default batch.
	WebhookMode string `json:"webhookMode,omitempty"`
	// WebhookInitialBackoff is the time before the first retry. Default 10s.
	WebhookInitialBackoff metav1.Duration `json:"webhookInitialBackoff,omitempty"`
	// WebhookBatch and WebhookTruncate are as those of the log.
	WebhookBatch    AuditBatch    `json:"webhookBatch,omitempty"`
	WebhookTruncate AuditTruncate `json:"webhookTruncate,omitempty"`
}

// AuditBatch buffers events.
type AuditBatch struct {
	// BufferSize is the number of events that wait; more are dropped. Default 10000.
	BufferSize int32 `json:"bufferSize,omitempty"`
	// MaxSize is the number of events written at once. Default 1 of the log, 400 of the webhook.
	MaxSize int32 `json:"maxSize,omitempty"`
	// MaxWait is the time for which events wait for MaxSize. Default 0s of the log (no bound),
	// 30s of the webhook.
	MaxWait metav1.Duration `json:"maxWait,omitempty"`
	// Throttle bounds the batches by ThrottleQPS a second with bursts of
	// ThrottleBurst. Defaults false of the log, true with 10 and 15 of the webhook.
	Throttle      *bool   `json:"throttle,omitempty"`
	ThrottleQPS   float32 `json:"throttleQPS,omitempty"`
	ThrottleBurst int32   `json:"throttleBurst,omitempty"`
}

// AuditTruncate makes large events smaller: objects are left out first, then the
// event is dropped.
type AuditTruncate struct {
	// Enabled turns it on. Default false.
	Enabled bool `json:"enabled,omitempty"`
	// MaxBatchSize and MaxEventSize are in bytes. Defaults 10485760 and 102400.
	MaxBatchSize int64 `json:"maxBatchSize,omitempty"`
	MaxEventSize int64 `json:"maxEventSize,omitempty"`
}

// Encryption configures encryption at rest.
type Encryption struct {
	// ConfigFile is an EncryptionConfiguration (apiserver.config.k8s.io): which
	// resources are encrypted and with what. What was stored before stays
	// readable and is encrypted when it is written again. Default none.
	ConfigFile string `json:"configFile,omitempty"`
	// Reload reads the file again when it changes. Default false.
	Reload bool `json:"reload,omitempty"`
}
