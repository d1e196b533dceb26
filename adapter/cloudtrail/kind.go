package cloudtrail

import "strings"

// kind says what the calls of a service act on: the type as Terraform's
// provider calls it, which parameters identify it, and how its settings are
// called there. The table has the common types; the rest goes by general rules.
type kind struct {
	service string   // of eventSource, without .amazonaws.com
	names   []string // parts of eventName; the first kind that has one is it
	typ     string
	ids     []string // parameters that identify it, the most specific first
	arn     string   // its ARN from the first id, "" if it cannot be built
	// rename maps parameters, at any depth, to the names that the provider
	// uses; "" leaves one out.
	rename map[string]string
	// open are settings that the call touches without telling their new value:
	// it adds to a set, or takes away from it.
	open map[string]string // part of eventName → path
}

// kinds is in the order of the search: longer names of a service come first.
var kinds = []kind{
	{service: "rds", names: []string{"DBClusterParameterGroup"}, typ: "aws_rds_cluster_parameter_group", ids: []string{"dBClusterParameterGroupName"}, arn: "rds:{region}:{account}:cluster-pg:{id}", rename: parameterNames},
	{service: "rds", names: []string{"DBParameterGroup"}, typ: "aws_db_parameter_group", ids: []string{"dBParameterGroupName"}, arn: "rds:{region}:{account}:pg:{id}", rename: parameterNames},
	{service: "rds", names: []string{"DBSubnetGroup"}, typ: "aws_db_subnet_group", ids: []string{"dBSubnetGroupName"}, arn: "rds:{region}:{account}:subgrp:{id}"},
	{service: "rds", names: []string{"DBClusterSnapshot"}, typ: "aws_db_cluster_snapshot", ids: []string{"dBClusterSnapshotIdentifier"}},
	{service: "rds", names: []string{"DBSnapshot"}, typ: "aws_db_snapshot", ids: []string{"dBSnapshotIdentifier"}},
	{service: "rds", names: []string{"DBCluster"}, typ: "aws_rds_cluster", ids: []string{"dBClusterIdentifier"}, arn: "rds:{region}:{account}:cluster:{id}", rename: databaseNames},
	{service: "rds", names: []string{"DBInstance"}, typ: "aws_db_instance", ids: []string{"dBInstanceIdentifier"}, arn: "rds:{region}:{account}:db:{id}", rename: databaseNames},

	{service: "ec2", names: []string{"SecurityGroupIngress"}, typ: "aws_security_group", ids: []string{"groupId", "groupName"}, arn: "ec2:{region}:{account}:security-group/{id}", rename: ruleNames, open: map[string]string{"": "ingress"}},
	{service: "ec2", names: []string{"SecurityGroupEgress"}, typ: "aws_security_group", ids: []string{"groupId", "groupName"}, arn: "ec2:{region}:{account}:security-group/{id}", rename: ruleNames, open: map[string]string{"": "egress"}},
	{service: "ec2", names: []string{"SecurityGroup"}, typ: "aws_security_group", ids: []string{"groupId", "groupName"}, arn: "ec2:{region}:{account}:security-group/{id}", rename: map[string]string{"groupDescription": "description", "groupName": "name"}},
	{service: "ec2", names: []string{"SpotInstance", "ReservedInstances", "IamInstanceProfile", "InstanceConnect"}},
	{service: "ec2", names: []string{"RunInstances", "StartInstances", "StopInstances", "RebootInstances", "TerminateInstances", "InstanceAttribute", "InstanceMetadataOptions", "InstanceCreditSpecification", "MonitorInstances", "InstancePlacement"}, typ: "aws_instance", ids: []string{"instanceId", "instanceIds"}, arn: "ec2:{region}:{account}:instance/{id}", rename: instanceNames},
	{service: "ec2", names: []string{"Volume"}, typ: "aws_ebs_volume", ids: []string{"volumeId"}, arn: "ec2:{region}:{account}:volume/{id}", rename: map[string]string{"volumeType": "type"}},
	{service: "ec2", names: []string{"LaunchTemplate"}, typ: "aws_launch_template", ids: []string{"launchTemplateId", "launchTemplateName"}, arn: "ec2:{region}:{account}:launch-template/{id}"},
	{service: "ec2", names: []string{"NetworkInterface"}, typ: "aws_network_interface", ids: []string{"networkInterfaceId"}},
	{service: "ec2", names: []string{"NetworkAcl"}, typ: "aws_network_acl", ids: []string{"networkAclId"}},
	{service: "ec2", names: []string{"RouteTable"}, typ: "aws_route_table", ids: []string{"routeTableId"}},
	{service: "ec2", names: []string{"CreateRoute", "DeleteRoute", "ReplaceRoute"}, typ: "aws_route", ids: []string{"routeTableId"}},
	{service: "ec2", names: []string{"InternetGateway"}, typ: "aws_internet_gateway", ids: []string{"internetGatewayId"}},
	{service: "ec2", names: []string{"NatGateway"}, typ: "aws_nat_gateway", ids: []string{"natGatewayId"}},
	{service: "ec2", names: []string{"VpcEndpoint"}, typ: "aws_vpc_endpoint", ids: []string{"vpcEndpointId"}},
	{service: "ec2", names: []string{"VpcPeering"}, typ: "aws_vpc_peering_connection", ids: []string{"vpcPeeringConnectionId"}},
	{service: "ec2", names: []string{"Subnet"}, typ: "aws_subnet", ids: []string{"subnetId"}, arn: "ec2:{region}:{account}:subnet/{id}"},
	{service: "ec2", names: []string{"Vpc"}, typ: "aws_vpc", ids: []string{"vpcId"}, arn: "ec2:{region}:{account}:vpc/{id}"},

	{service: "s3", names: []string{"Bucket", "PublicAccessBlock"}, typ: "aws_s3_bucket", ids: []string{"bucketName"}, arn: "s3:::{id}"},
	{service: "s3", names: []string{"Object", "Upload"}, typ: "aws_s3_object", ids: []string{"key", "bucketName"}},

	{service: "iam", names: []string{"InstanceProfile"}, typ: "aws_iam_instance_profile", ids: []string{"instanceProfileName"}, arn: "iam::{account}:instance-profile/{id}"},
	{service: "iam", names: []string{"UpdateAssumeRolePolicy"}, typ: "aws_iam_role", ids: []string{"roleName"}, arn: "iam::{account}:role/{id}", rename: map[string]string{"policyDocument": "assume_role_policy", "roleName": ""}},
	{service: "iam", names: []string{"Role"}, typ: "aws_iam_role", ids: []string{"roleName"}, arn: "iam::{account}:role/{id}", rename: policyNames, open: attached},
	{service: "iam", names: []string{"AccessKey"}, typ: "aws_iam_access_key", ids: []string{"userName"}},
	{service: "iam", names: []string{"User", "LoginProfile"}, typ: "aws_iam_user", ids: []string{"userName"}, arn: "iam::{account}:user/{id}", rename: policyNames, open: attached},
	{service: "iam", names: []string{"Group"}, typ: "aws_iam_group", ids: []string{"groupName"}, arn: "iam::{account}:group/{id}", rename: policyNames, open: attached},
	{service: "iam", names: []string{"Policy"}, typ: "aws_iam_policy", ids: []string{"policyArn", "policyName"}, rename: policyNames},

	{service: "lambda", names: []string{"EventSourceMapping"}, typ: "aws_lambda_event_source_mapping", ids: []string{"uUID"}},
	{service: "lambda", names: []string{"Function", "AddPermission", "RemovePermission", "PublishVersion"}, typ: "aws_lambda_function", ids: []string{"functionName"}, arn: "lambda:{region}:{account}:function:{id}", rename: map[string]string{"functionName": ""}},

	{service: "autoscaling", names: []string{"LaunchConfiguration"}, typ: "aws_launch_configuration", ids: []string{"launchConfigurationName"}},
	{service: "autoscaling", names: []string{"ScalingPolicy"}, typ: "aws_autoscaling_policy", ids: []string{"policyName", "autoScalingGroupName"}},
	{service: "autoscaling", names: []string{"ScheduledUpdate", "ScheduledAction"}, typ: "aws_autoscaling_schedule", ids: []string{"scheduledActionName", "autoScalingGroupName"}},
	{service: "autoscaling", names: []string{"AutoScalingGroup", "DesiredCapacity", "Processes", "AttachInstances", "DetachInstances", "AttachLoadBalancer", "InstanceRefresh", "TerminateInstance"}, typ: "aws_autoscaling_group", ids: []string{"autoScalingGroupName", "instanceId"}, rename: groupNames},

	{service: "elasticloadbalancing", names: []string{"TargetGroup", "RegisterTargets", "DeregisterTargets"}, typ: "aws_lb_target_group", ids: []string{"targetGroupArn", "name"}},
	{service: "elasticloadbalancing", names: []string{"Listener"}, typ: "aws_lb_listener", ids: []string{"listenerArn", "loadBalancerArn"}},
	{service: "elasticloadbalancing", names: []string{"Rule"}, typ: "aws_lb_listener_rule", ids: []string{"ruleArn", "listenerArn"}},
	{service: "elasticloadbalancing", names: []string{"LoadBalancer"}, typ: "aws_lb", ids: []string{"loadBalancerArn", "loadBalancerName", "name"}},

	{service: "dynamodb", names: []string{"Table", "TimeToLive", "ContinuousBackups"}, typ: "aws_dynamodb_table", ids: []string{"tableName"}, arn: "dynamodb:{region}:{account}:table/{id}"},
	{service: "ecs", names: []string{"TaskDefinition"}, typ: "aws_ecs_task_definition", ids: []string{"taskDefinitionArn", "taskDefinition", "family"}},
	{service: "ecs", names: []string{"Service"}, typ: "aws_ecs_service", ids: []string{"serviceArn", "service", "serviceName"}},
	{service: "ecs", names: []string{"Cluster"}, typ: "aws_ecs_cluster", ids: []string{"clusterArn", "cluster", "clusterName"}},
	{service: "eks", names: []string{"Nodegroup"}, typ: "aws_eks_node_group", ids: []string{"nodegroupName", "name"}},
	{service: "eks", names: []string{"Addon"}, typ: "aws_eks_addon", ids: []string{"addonName", "name"}},
	{service: "eks", names: []string{"Cluster"}, typ: "aws_eks_cluster", ids: []string{"name", "clusterName"}, arn: "eks:{region}:{account}:cluster/{id}"},
	{service: "sqs", names: []string{"Queue"}, typ: "aws_sqs_queue", ids: []string{"queueUrl", "queueName"}},
	{service: "sns", names: []string{"Topic"}, typ: "aws_sns_topic", ids: []string{"topicArn", "name"}},
	{service: "kms", names: []string{"Alias"}, typ: "aws_kms_alias", ids: []string{"aliasName"}},
	{service: "kms", names: []string{"Key"}, typ: "aws_kms_key", ids: []string{"keyId"}},
	{service: "secretsmanager", names: []string{"Secret"}, typ: "aws_secretsmanager_secret", ids: []string{"secretId", "name"}},
	{service: "ssm", names: []string{"Parameter"}, typ: "aws_ssm_parameter", ids: []string{"name"}, arn: "ssm:{region}:{account}:parameter/{id}"},
	{service: "route53", names: []string{"ResourceRecordSets"}, typ: "aws_route53_record", ids: []string{"hostedZoneId"}},
	{service: "route53", names: []string{"HostedZone"}, typ: "aws_route53_zone", ids: []string{"hostedZoneId", "id", "name"}},
	{service: "monitoring", names: []string{"Alarm"}, typ: "aws_cloudwatch_metric_alarm", ids: []string{"alarmName", "alarmNames"}, arn: "cloudwatch:{region}:{account}:alarm:{id}"},
	{service: "logs", names: []string{"LogGroup", "RetentionPolicy"}, typ: "aws_cloudwatch_log_group", ids: []string{"logGroupName"}, arn: "logs:{region}:{account}:log-group:{id}"},
	{service: "events", names: []string{"Rule", "Targets"}, typ: "aws_cloudwatch_event_rule", ids: []string{"name", "rule"}, arn: "events:{region}:{account}:rule/{id}"},
	{service: "elasticache", names: []string{"ReplicationGroup"}, typ: "aws_elasticache_replication_group", ids: []string{"replicationGroupId"}},
	{service: "elasticache", names: []string{"CacheCluster"}, typ: "aws_elasticache_cluster", ids: []string{"cacheClusterId"}},
	{service: "cloudfront", names: []string{"Distribution"}, typ: "aws_cloudfront_distribution", ids: []string{"id"}},
	{service: "ecr", names: []string{"Repository", "LifecyclePolicy", "ImageTagMutability", "ImageScanning"}, typ: "aws_ecr_repository", ids: []string{"repositoryName"}, arn: "ecr:{region}:{account}:repository/{id}"},
	{service: "redshift", names: []string{"Cluster"}, typ: "aws_redshift_cluster", ids: []string{"clusterIdentifier"}},
}

var databaseNames = map[string]string{
	"dBInstanceClass": "instance_class", "dBClusterInstanceClass": "db_cluster_instance_class",
	"dBInstanceIdentifier": "identifier", "newDBInstanceIdentifier": "identifier",
	"dBClusterIdentifier": "cluster_identifier", "newDBClusterIdentifier": "cluster_identifier",
	"dBName": "db_name", "databaseName": "database_name", "dBPortNumber": "port",
	"dBParameterGroupName": "parameter_group_name", "dBClusterParameterGroupName": "db_cluster_parameter_group_name",
	"masterUserPassword": "password", "masterUsername": "username",
	"preferredMaintenanceWindow": "maintenance_window", "preferredBackupWindow": "backup_window",
	"cACertificateIdentifier": "ca_cert_identifier", "enableIAMDatabaseAuthentication": "iam_database_authentication_enabled",
	"enablePerformanceInsights": "performance_insights_enabled", "performanceInsightsKMSKeyId": "performance_insights_kms_key_id",
}

var parameterNames = map[string]string{
	"parameters": "parameter", "parameterName": "name", "parameterValue": "value",
	"dBParameterGroupName": "", "dBClusterParameterGroupName": "",
}

// ruleNames leaves the rules out: they are one part of a set, see kind.open.
var ruleNames = map[string]string{
	"ipPermissions": "", "groupId": "", "groupName": "", "cidrIp": "", "ipProtocol": "", "fromPort": "", "toPort": "",
	"securityGroupRuleIds": "", "securityGroupRuleDescriptions": "", "sourceSecurityGroupName": "", "sourceSecurityGroupOwnerId": "",
}

var instanceNames = map[string]string{
	"imageId": "ami", "groupSet": "vpc_security_group_ids", "instancesSet": "", "minCount": "", "maxCount": "", "tagSpecificationSet": "", "attribute": "",
	"instanceId": "", "instanceIds": "",
}

var policyNames = map[string]string{
	"policyDocument": "policy", "assumeRolePolicyDocument": "assume_role_policy", "roleName": "", "userName": "", "groupName": "",
	"policyArn": "", "policyName": "",
}

// attached are the sets of policies that hang on a role, a user or a group.
var attached = map[string]string{"Attach": "managed_policy_arns", "Detach": "managed_policy_arns"}

var groupNames = map[string]string{
	"autoScalingGroupName": "", "honorCooldown": "", "instanceId": "", "shouldDecrementDesiredCapacity": "", "scalingProcesses": "suspended_processes",
}

// byService has the kinds of each service, in the order of the table.
var byService = func() map[string][]*kind {
	m := make(map[string][]*kind)
	for i := range kinds {
		m[kinds[i].service] = append(m[kinds[i].service], &kinds[i])
	}
	return m
}()

// kind returns what a call acts on, nil if the table does not have it.
func (r *reader) kind(source, name string) *kind {
	return r.kinds.get([2]string{source, name}, func() *kind {
		for _, k := range byService[strings.TrimSuffix(source, ".amazonaws.com")] {
			for _, part := range k.names {
				if !strings.Contains(name, part) {
					continue
				}
				if k.typ == "" {
					return nil
				}
				return k
			}
		}
		return nil
	})
}

// kindOfType returns the last kind of the table with this type, which is the
// general one, nil if there is none.
func kindOfType(typ string) *kind {
	for i := len(kinds) - 1; i >= 0 && typ != ""; i-- {
		if kinds[i].typ == typ && kinds[i].open[""] == "" {
			return &kinds[i]
		}
	}
	return nil
}

// prefixes are those of EC2's identifiers, for calls such as CreateTags that
// act on anything.
var prefixes = map[string]string{
	"i": "aws_instance", "sg": "aws_security_group", "vol": "aws_ebs_volume", "vpc": "aws_vpc", "subnet": "aws_subnet",
	"rtb": "aws_route_table", "igw": "aws_internet_gateway", "nat": "aws_nat_gateway", "eni": "aws_network_interface",
	"lt": "aws_launch_template", "ami": "aws_ami", "snap": "aws_ebs_snapshot", "acl": "aws_network_acl", "eipalloc": "aws_eip",
	"vpce": "aws_vpc_endpoint",
}

// arns are the beginnings of ARNs, without partition, region and account.
var arns = map[string]string{
	"rds:db": "aws_db_instance", "rds:cluster": "aws_rds_cluster", "rds:pg": "aws_db_parameter_group",
	"lambda:function": "aws_lambda_function", "dynamodb:table": "aws_dynamodb_table", "iam:role": "aws_iam_role",
	"iam:user": "aws_iam_user", "iam:policy": "aws_iam_policy", "kms:key": "aws_kms_key", "ecs:service": "aws_ecs_service",
	"ecs:cluster": "aws_ecs_cluster", "eks:cluster": "aws_eks_cluster", "secretsmanager:secret": "aws_secretsmanager_secret",
	"elasticloadbalancing:loadbalancer": "aws_lb", "elasticloadbalancing:targetgroup": "aws_lb_target_group",
	"logs:log-group": "aws_cloudwatch_log_group", "cloudwatch:alarm": "aws_cloudwatch_metric_alarm",
	"ec2:instance": "aws_instance", "ec2:security-group": "aws_security_group", "ec2:volume": "aws_ebs_volume",
}

// typeOf returns the type of what an identifier names, "" if it does not tell.
func typeOf(id string) string {
	if parts := strings.SplitN(id, ":", 6); len(parts) == 6 && parts[0] == "arn" {
		head, _, _ := strings.Cut(parts[5], ":")
		head, _, _ = strings.Cut(head, "/")
		switch {
		case parts[2] == "s3" && !strings.Contains(parts[5], "/"):
			return "aws_s3_bucket"
		case parts[2] == "sqs":
			return "aws_sqs_queue"
		case parts[2] == "sns":
			return "aws_sns_topic"
		}
		return arns[parts[2]+":"+head]
	}
	prefix, rest, ok := strings.Cut(id, "-")
	if ok && len(rest) >= 8 && strings.Trim(rest, "0123456789abcdef") == "" {
		return prefixes[prefix]
	}
	return ""
}
