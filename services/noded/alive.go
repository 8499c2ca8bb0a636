package main

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// alive is the watchdog's question: does the admin socket answer, and does the
// thread of membership come round?
func (f *front) alive(ctx context.Context) error {
	conn, err := grpc.NewClient("unix:"+f.file.AdminSocket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("call the admin socket: %w", err)
	}
	defer conn.Close()
	if _, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil {
		return fmt.Errorf("the admin socket does not answer: %w", err)
	}
	if n := f.node.Load(); n != nil {
		if _, err := n.loop.Stats(ctx); err != nil {
			return fmt.Errorf("the thread of membership does not come round: %w", err)
		}
	}
	return nil
}
